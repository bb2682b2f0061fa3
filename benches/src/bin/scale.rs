//! The scale run: `scale --spawn target/release/authkit-server --summary`.

use std::process::ExitCode;
use std::sync::Arc;

use authkit_benches::report::TABLE_HEAD;
use authkit_benches::scale::options::Options;
use authkit_benches::scale::{self, Scale, Step};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for Step { name, about, .. } in scale::ALL {
            println!("{name:8} {about}");
        }
        return ExitCode::SUCCESS;
    }
    let steps = match scale::select(&options.step) {
        Ok(steps) => steps,
        Err(error) => {
            eprintln!("scale: {error}");
            return ExitCode::from(2);
        }
    };
    match Scale::new(options).await {
        Ok(scale) => measure(&scale, &steps).await,
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the steps one after the other. One that fails does not keep the others from running, but the exit code tells.
async fn measure(scale: &Arc<Scale>, steps: &[&Step]) -> ExitCode {
    let (mut good, mut table) = (true, String::from(TABLE_HEAD));
    for step in steps {
        match (step.run)(Arc::clone(scale)).await {
            Ok(reports) => {
                for (name, report) in reports {
                    good &= report.is_clean();
                    println!("{}", report.to_line(name));
                    table += &report.to_rows(name);
                }
            }
            Err(error) => {
                good = false;
                eprintln!("scale: {}: {error}", step.name);
                println!("{}", serde_json::json!({ "scenario": step.name, "error": error.to_string() }));
            }
        }
    }
    if scale.options().summary {
        eprint!("\n{table}");
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
