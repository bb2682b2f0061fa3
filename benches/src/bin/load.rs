//! The load driver: `load --spawn target/release/authkit-server --summary`.

use std::process::ExitCode;
use std::sync::Arc;

use authkit_benches::context::Context;
use authkit_benches::options::Options;
use authkit_benches::report::TABLE_HEAD;
use authkit_benches::scenario::{self, Scenario};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for Scenario { name, about, .. } in scenario::ALL {
            println!("{name:16} {about}");
        }
        return ExitCode::SUCCESS;
    }
    let scenarios = match scenario::select(&options.scenario) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("load: {error}");
            return ExitCode::from(2);
        }
    };
    match Context::new(options).await {
        Ok(context) => measure(&Arc::new(context), &scenarios).await,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios one after the other. One that fails does not keep the others from running, but the exit code tells.
async fn measure(context: &Arc<Context>, scenarios: &[&Scenario]) -> ExitCode {
    let (mut good, mut table) = (true, String::from(TABLE_HEAD));
    for scenario in scenarios {
        match (scenario.run)(Arc::clone(context)).await {
            Ok(report) => {
                good &= report.is_clean();
                println!("{}", report.to_line(scenario.name));
                table += &report.to_rows(scenario.name);
            }
            Err(error) => {
                good = false;
                eprintln!("load: {}: {error}", scenario.name);
                println!("{}", serde_json::json!({ "scenario": scenario.name, "error": error.to_string() }));
            }
        }
    }
    if let Err(error) = context.shut_down().await {
        good = false;
        eprintln!("load: {error}");
    }
    if context.options().summary {
        eprint!("\n{table}");
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
