//! What the mails say, in each language.

use authkit_core::model::Mail;

/// The words of one mail.
pub(super) struct Words {
    pub(super) subject: &'static str,
    pub(super) greeting: &'static str,
    pub(super) body: &'static str,
    /// What the link is called, where there is one.
    pub(super) action: &'static str,
    pub(super) closing: &'static str,
}

/// The languages that there are words in; the first is for everybody else.
const LANGUAGES: [&str; 4] = ["en", "de", "fr", "es"];

/// The best of our languages for a language tag.
pub(crate) fn language_of(tag: &str) -> &'static str {
    let primary = tag.split('-').next().unwrap_or_default();
    LANGUAGES.into_iter().find(|language| *language == primary).unwrap_or("en")
}

/// The words of a mail, in the language that its recipient prefers.
pub(super) fn words(mail: &Mail) -> Words {
    let language = mail.locale.as_ref().map_or("en", |locale| language_of(locale.as_str()));
    let (greeting, ignore) = match language {
        "de" => ("Guten Tag", "Falls Sie das nicht waren, können Sie diese Nachricht ignorieren."),
        "fr" => ("Bonjour", "Si vous n'êtes pas à l'origine de cette demande, ignorez ce message."),
        "es" => ("Hola", "Si no ha sido usted, puede ignorar este mensaje."),
        _ => ("Hello", "If this was not you, you can ignore this message."),
    };
    let (subject, body, action) = match (mail.content.name(), language) {
        ("verify_email", "de") => (
            "Bestätigen Sie Ihre E-Mail-Adresse",
            "bitte bestätigen Sie, dass diese Adresse Ihnen gehört. Der Link gilt 24 Stunden.",
            "Adresse bestätigen",
        ),
        ("verify_email", "fr") => (
            "Confirmez votre adresse e-mail",
            "veuillez confirmer que cette adresse est la vôtre. Le lien est valable 24 heures.",
            "Confirmer l'adresse",
        ),
        ("verify_email", "es") => (
            "Confirme su dirección de correo",
            "confirme que esta dirección es suya. El enlace es válido durante 24 horas.",
            "Confirmar la dirección",
        ),
        ("verify_email", _) => (
            "Confirm your email address",
            "please confirm that this address is yours. The link is good for 24 hours.",
            "Confirm the address",
        ),
        ("reset_password", "de") => (
            "Neues Passwort setzen",
            "über diesen Link setzen Sie ein neues Passwort. Er gilt 30 Minuten und nur einmal.",
            "Neues Passwort setzen",
        ),
        ("reset_password", "fr") => (
            "Définir un nouveau mot de passe",
            "ce lien permet de définir un nouveau mot de passe. Il est valable 30 minutes et une seule fois.",
            "Définir un nouveau mot de passe",
        ),
        ("reset_password", "es") => (
            "Establecer una nueva contraseña",
            "con este enlace puede establecer una nueva contraseña. Es válido durante 30 minutos y una sola vez.",
            "Establecer una nueva contraseña",
        ),
        ("reset_password", _) => (
            "Set a new password",
            "this link lets you set a new password. It is good for 30 minutes, and once.",
            "Set a new password",
        ),
        ("magic_link", "de") => {
            ("Ihr Anmelde-Link", "mit diesem Link melden Sie sich an. Er gilt 10 Minuten und nur einmal.", "Anmelden")
        }
        ("magic_link", "fr") => {
            ("Votre lien de connexion", "ce lien vous connecte. Il est valable 10 minutes et une seule fois.", "Se connecter")
        }
        ("magic_link", "es") => (
            "Su enlace de acceso",
            "con este enlace inicia sesión. Es válido durante 10 minutos y una sola vez.",
            "Iniciar sesión",
        ),
        ("magic_link", _) => ("Your login link", "this link logs you in. It is good for 10 minutes, and once.", "Log in"),
        ("registration_attempted", "de") => (
            "Sie haben schon ein Konto",
            "jemand wollte sich mit dieser Adresse registrieren, die schon ein Konto hat. Waren Sie das, melden Sie sich an, oder setzen \
             Sie ein neues Passwort, wenn Sie Ihres vergessen haben.",
            "Neues Passwort setzen",
        ),
        ("registration_attempted", "fr") => (
            "Vous avez déjà un compte",
            "quelqu'un a voulu s'inscrire avec cette adresse, qui a déjà un compte. Si c'était vous, connectez-vous, ou définissez un \
             nouveau mot de passe si vous avez oublié le vôtre.",
            "Définir un nouveau mot de passe",
        ),
        ("registration_attempted", "es") => (
            "Ya tiene una cuenta",
            "alguien ha querido registrarse con esta dirección, que ya tiene una cuenta. Si ha sido usted, inicie sesión, o establezca \
             una nueva contraseña si ha olvidado la suya.",
            "Establecer una nueva contraseña",
        ),
        ("registration_attempted", _) => (
            "You already have an account",
            "somebody tried to register with this address, which has an account already. If that was you, log in, or set a new password \
             if you have forgotten yours.",
            "Set a new password",
        ),
        (_, "de") => (
            "Ihr Passwort wurde neu gesetzt",
            "das Passwort Ihres Kontos wurde soeben neu gesetzt, und alle Sitzungen wurden beendet. Falls Sie das nicht waren, \
             setzen Sie sofort ein neues Passwort und sichern Sie Ihr Postfach.",
            "",
        ),
        (_, "fr") => (
            "Votre mot de passe a été réinitialisé",
            "le mot de passe de votre compte vient d'être réinitialisé et toutes les sessions ont été fermées. Si ce n'était pas vous, \
             définissez immédiatement un nouveau mot de passe et sécurisez votre messagerie.",
            "",
        ),
        (_, "es") => (
            "Su contraseña se ha restablecido",
            "la contraseña de su cuenta se acaba de restablecer y se han cerrado todas las sesiones. Si no ha sido usted, establezca \
             una nueva contraseña de inmediato y proteja su buzón.",
            "",
        ),
        (..) => (
            "Your password was reset",
            "the password of your account has just been set anew, and every session was ended. If this was not you, set a new \
             password at once and secure your mailbox.",
            "",
        ),
    };
    let closing = if action.is_empty() { "" } else { ignore };
    Words { subject, greeting, body, action, closing }
}
