//! A page on which passkeys can be tried: log in by one, add one, look through them.
//!
//! Passkeys need a script. It is a file of its own, and so is the style: the page itself runs nothing and is the same for everybody. The
//! tokens stay in the script's memory, so that they are gone with the page.

use poem::endpoint::make_sync;
use poem::http::{Method, header};
use poem::{Endpoint, Request, Response, Route};

use super::link_pages::language;
use crate::http::RouteTable;

const PATH: &str = "/account/passkeys";
const SCRIPT_PATH: &str = "/account/passkeys.js";
const STYLE_PATH: &str = "/account/passkeys.css";

const SCRIPT: &str = include_str!("passkey_page/passkeys.js");
const STYLE: &str = include_str!("passkey_page/passkeys.css");
const LAYOUT: &str = include_str!("passkey_page/passkeys.html");

/// SECURITY: a script and a style of our own, requests to ourselves, and nothing else: nothing inline, nothing from elsewhere, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; \
                      frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'";

/// Names the routes to the log and the metrics.
pub(super) fn describe(table: RouteTable) -> RouteTable {
    [PATH, SCRIPT_PATH, STYLE_PATH].into_iter().fold(table, |table, path| table.route(path, [Method::GET]))
}

/// Adds the page.
pub(super) fn add_to(routes: Route) -> Route {
    routes
        .at(PATH, poem::get(make_sync(|request: Request| page(language(&request)))))
        .at(SCRIPT_PATH, poem::get(file("text/javascript; charset=utf-8", SCRIPT)))
        .at(STYLE_PATH, poem::get(file("text/css; charset=utf-8", STYLE)))
}

fn file(kind: &'static str, text: &'static str) -> impl Endpoint<Output = Response> {
    make_sync(move |_| Response::builder().content_type(kind).header(header::CACHE_CONTROL, "no-cache").body(text))
}

fn page(language: &'static str) -> Response {
    let place = LANGUAGES.iter().position(|known| *known == language).unwrap_or(0);
    let filled = WORDS.iter().fold(LAYOUT.replace("{{language}}", language), |page, (name, words)| {
        page.replace(&format!("{{{{{name}}}}}"), &crate::mail::escaped(words[place]))
    });
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::VARY, "Accept-Language")
        .body(filled)
}

const LANGUAGES: [&str; 4] = ["en", "de", "fr", "es"];

/// The words of the page, in the order of the languages.
const WORDS: &[(&str, [&str; 4])] = &[
    ("title", ["Passkeys", "Passkeys", "Clés d’accès", "Llaves de acceso"]),
    (
        "lead",
        [
            "Log in with your face, your finger or the PIN of your device. Nothing to remember, nothing to steal.",
            "Melden Sie sich mit Gesicht, Finger oder der PIN Ihres Geräts an. Nichts zu merken, nichts zu stehlen.",
            "Connectez-vous avec votre visage, votre doigt ou le code de votre appareil. Rien à retenir, rien à voler.",
            "Inicie sesión con su cara, su dedo o el PIN de su dispositivo. Nada que recordar, nada que robar.",
        ],
    ),
    (
        "log_in",
        ["Log in with a passkey", "Mit Passkey anmelden", "Se connecter avec une clé d’accès", "Entrar con una llave de acceso"],
    ),
    ("or", ["or with your password", "oder mit Ihrem Passwort", "ou avec votre mot de passe", "o con su contraseña"]),
    ("email", ["Email address", "E-Mail-Adresse", "Adresse e-mail", "Correo electrónico"]),
    ("password", ["Password", "Passwort", "Mot de passe", "Contraseña"]),
    ("go_on", ["Log in", "Anmelden", "Se connecter", "Entrar"]),
    ("yours", ["Your passkeys", "Ihre Passkeys", "Vos clés d’accès", "Sus llaves de acceso"]),
    ("none", ["You have none yet.", "Sie haben noch keine.", "Vous n’en avez pas encore.", "Aún no tiene ninguna."]),
    ("name", ["Name of the new one", "Name des neuen", "Nom de la nouvelle", "Nombre de la nueva"]),
    ("add", ["Add a passkey", "Passkey hinzufügen", "Ajouter une clé d’accès", "Añadir una llave de acceso"]),
    ("remove", ["Remove", "Entfernen", "Supprimer", "Eliminar"]),
    ("rename", ["Rename", "Umbenennen", "Renommer", "Renombrar"]),
    ("log_out", ["Log out", "Abmelden", "Se déconnecter", "Salir"]),
    ("used", ["last used", "zuletzt benutzt", "utilisée le", "usada por última vez"]),
    ("never_used", ["never used", "nie benutzt", "jamais utilisée", "nunca usada"]),
    ("synced", ["synced", "synchronisiert", "synchronisée", "sincronizada"]),
    (
        "codes",
        [
            "Recovery codes: keep them somewhere safe. Each logs you in once when you have lost your passkeys. They are shown this once.",
            "Wiederherstellungscodes: Bewahren Sie sie sicher auf. Jeder meldet Sie einmal an, wenn Ihre Passkeys verloren sind. Sie werden nur jetzt gezeigt.",
            "Codes de récupération : gardez-les en lieu sûr. Chacun vous connecte une fois si vous avez perdu vos clés d’accès. Ils ne sont affichés que cette fois.",
            "Códigos de recuperación: guárdelos en un lugar seguro. Cada uno permite entrar una vez si pierde sus llaves. Solo se muestran ahora.",
        ],
    ),
    (
        "unsupported",
        [
            "This browser cannot use passkeys here. They need https, or http://localhost.",
            "Dieser Browser kann hier keine Passkeys benutzen. Sie brauchen https oder http://localhost.",
            "Ce navigateur ne peut pas utiliser de clés d’accès ici. Il faut https, ou http://localhost.",
            "Este navegador no puede usar llaves de acceso aquí. Necesitan https o http://localhost.",
        ],
    ),
    (
        "cancelled",
        [
            "Nothing was done: it was cancelled, or took too long.",
            "Nichts ist geschehen: Es wurde abgebrochen oder hat zu lange gedauert.",
            "Rien n’a été fait : c’était annulé, ou trop long.",
            "No se hizo nada: se canceló o tardó demasiado.",
        ],
    ),
    (
        "exists",
        [
            "This device has a passkey of yours already.",
            "Dieses Gerät hat schon einen Passkey von Ihnen.",
            "Cet appareil a déjà une clé d’accès à vous.",
            "Este dispositivo ya tiene una llave suya.",
        ],
    ),
    ("welcome", ["You are logged in.", "Sie sind angemeldet.", "Vous êtes connecté.", "Ha entrado."]),
    (
        "added",
        ["The passkey was added.", "Der Passkey wurde hinzugefügt.", "La clé d’accès a été ajoutée.", "Se añadió la llave."],
    ),
    (
        "removed",
        ["The passkey was removed.", "Der Passkey wurde entfernt.", "La clé d’accès a été supprimée.", "Se eliminó la llave."],
    ),
    (
        "code_needed",
        [
            "This account wants a code of another factor, which this page does not ask for.",
            "Dieses Konto verlangt einen Code eines anderen Faktors, den diese Seite nicht abfragt.",
            "Ce compte demande un code d’un autre facteur, que cette page ne demande pas.",
            "Esta cuenta pide un código de otro factor, que esta página no pide.",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_word_of_the_page_is_there_in_every_language() {
        let mut pages = Vec::new();
        for language in LANGUAGES {
            let text = page(language).into_body().into_string().await.expect("a page");
            assert!(!text.contains("{{") && !text.contains("<script>") && !text.contains("style="), "{language}");
            pages.push(text);
        }
        pages.dedup();
        assert_eq!(pages.len(), LANGUAGES.len());
        assert!(!SCRIPT.contains("innerHTML"), "text is text");
    }
}
