//! Settings of rate limits: how often something may be tried.

use std::time::Duration;

use crate::config::GuessingConfig;
use crate::model::{LimitScope, Quota};

/// Settings of rate limits.
///
/// A quota is a burst, which is allowed at once, and an interval, after which one more is. The burst is for people: a
/// household behind one address, a person who has forgotten which password it was. The interval is against programs, which
/// use the burst up in a second and live on what comes back.
///
/// An address is one IPv4 address, or the /64 of an IPv6 address. Where it is not known nothing is counted by it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LimitConfig {
    /// Whether anything is counted, wrong passwords in a row included. Default yes. Without it nothing but the hashing pool bounds how fast passwords can be tried.
    pub enabled: bool,
    /// Logins from one address, whatever account they are for. Default 100 at once and one a second.
    ///
    /// It is against the trying of stolen passwords at one account after another (ASVS 6.3.1, OWASP Credential Stuffing
    /// Prevention): a list of ten thousand takes an address almost three hours and not seconds. An office of some hundred people
    /// behind one address fits in, even when all of them log in within the same few minutes, which sessions of weeks make
    /// rare. It cannot be much less: carriers put thousands of subscribers behind one address.
    pub login_per_address: Quota,
    /// Logins to one account from one address. Default 10 at once and one in 30 seconds.
    ///
    /// Whoever tries every password that she can think of does not try ten within a minute. It stands in front of the quota of
    /// the account, so that one address cannot use that up for everybody else.
    pub login_per_address_and_account: Quota,
    /// Logins to one account from unknown devices, from wherever. Default 20 at once and one in 15 seconds.
    ///
    /// It is against hammering at one account from many addresses (ASVS 6.3.1): what it refuses costs no look-up. How often
    /// the password can be *guessed* is bounded more tightly, and durably, by [`guessing`](Self::guessing). What is counted is
    /// the address that was written, whether it has an account or not, so that a refusal says nothing about that.
    pub login_per_account: Quota,
    /// Logins by one known device. Default 10 at once and one in 30 seconds.
    ///
    /// A device that is known is counted by itself, and not with the strangers who try the same account, so that these cannot
    /// keep the owner out (ASVS 6.1.1). A token that was stolen is no way around the limits.
    pub login_per_device: Quota,
    /// Logins from unknown devices on one node, whatever account and address. Default 500 at once and 50 a second.
    ///
    /// It is against the trying of stolen passwords from so many addresses that none of them stands out (OWASP Automated Threats
    /// OAT-008): a list of a million takes a node five and a half hours. Known devices go on beside it. A node hashes about 50
    /// passwords a second on one core, so that more would not be served anyway. Every node counts by itself, because it is its own
    /// processors that it protects.
    pub logins_per_node: Quota,
    /// Registrations from one address. Default 50 at once and one a minute.
    ///
    /// A classroom or a workshop registers at once and is through with it; whoever makes accounts to sell gets 60 an hour from
    /// each address (OWASP Automated Threats OAT-019). An account costs a hash and rows for ever, so it is less than for logins.
    pub registration_per_address: Quota,
    /// Registrations on one node, from whatever address. Default 200 at once and 5 a second.
    ///
    /// It is against the making of accounts from many addresses (OWASP Automated Threats OAT-019): 18,000 an hour is a launch
    /// day, and what costs a hash and rows for ever has a ceiling. Every node counts by itself.
    pub registrations_per_node: Quota,
    /// Requests of any kind from one address. Default 1,000 at once and 100 a second.
    ///
    /// It is for what checks no secret and has no quota of its own: a profile, a list, a logout. Such a request costs a
    /// fraction of a millisecond, so that one address gets a few percent of a node, and thousands behind one carrier's address do
    /// not notice. It is a ceiling against a client in a loop (ASVS 2.4.1), and every node counts by itself. Loopback is not
    /// counted: there the host is the client, or a balancer that nobody has named, and all of its clients would be one.
    pub requests_per_address: Quota,
    /// Refreshes of one session. Default 60 at once and one a second.
    ///
    /// A client refreshes every few minutes, and a browser with many tabs some times at once. It is against a client that
    /// refreshes in a loop: each refresh is a write. Nothing can be guessed here, a refresh token has 256 bits; so every node
    /// counts by itself, and a refresh costs no round trip to a limiter that the nodes share.
    pub refresh_per_session: Quota,
    /// Checks of the password of somebody who is logged in: a renewed proof of identity and a change of password together.
    /// Default 10 at once and one in 30 seconds.
    ///
    /// It is against whoever holds a stolen access token and wants the password too (ASVS 6.2.3), so it is the quota of a login
    /// to an account. It is counted apart from that: a stranger who guesses at the account cannot keep its owner, who is
    /// logged in, from changing the password.
    pub password_per_account: Quota,
    /// Links asked for by one address: to prove an email address, to set a new password, to log in. Default 20 at once and one a minute.
    ///
    /// A household asks for one now and then. It is against whoever has strangers mailed (OWASP Forgot Password, "rate limit").
    pub links_per_address: Quota,
    /// Links asked for on behalf of one email address, whether it has an account or not. Default 5 at once and one in ten minutes.
    ///
    /// It is what one mailbox can be flooded with. What is beyond it is answered like everything else and sends nothing, so that the
    /// answer says nothing about others who have asked.
    pub links_per_recipient: Quota,
    /// Passkey challenges asked for and answered by one address. Default 200 at once and two a second.
    ///
    /// A login is two of them, and a login page that offers passkeys in its field asks for one whenever it is opened. Nothing can be
    /// guessed here: it is against whoever has challenges written down, or signatures checked, for no reason.
    pub passkeys_per_address: Quota,
    /// Codes of second factors that are sent for one account, by mail and by text message together. Default 5 at once and one in
    /// twelve minutes: five an hour (ASVS 6.6.3). What is beyond it is answered like everything else and sends nothing.
    pub codes_per_account: Quota,
    /// Codes of second factors that one address asks for. Default 20 at once and one a minute.
    pub codes_per_address: Quota,
    /// Text messages to one telephone, whatever the account. Default 5 at once and one in twelve minutes.
    ///
    /// Nobody's telephone is flooded by whoever makes many accounts.
    pub sms_per_number: Quota,
    /// Text messages to the numbers of one country. Default 100 at once and one in 10 seconds: 360 an hour.
    ///
    /// It is against having messages sent to numbers of a far country whose operator shares what they cost ("SMS pumping").
    pub sms_per_country: Quota,
    /// Text messages in all. Default 200 at once and one in 5 seconds: 720 an hour, which is what a day's damage is bounded by.
    pub sms_in_all: Quota,
    /// What happens to wrong passwords in a row.
    pub guessing: GuessingConfig,
    /// By how many nodes a quota is divided while the limiter that they share is away and each counts by itself. Default 3:
    /// the least number that survives the loss of one without being half of what it was.
    ///
    /// With more nodes than that a shared limiter that fails makes the quotas larger, with fewer smaller; nothing becomes
    /// unlimited.
    pub nodes: u32,
}

impl LimitConfig {
    /// Recorded refusals of one kind about one subject: the first, and one a minute.
    const REFUSALS_PER_SUBJECT: Quota = Quota::of(1, Duration::from_mins(1));
    /// Recorded refusals about one session whose token is ours, which a client may repeat for ever.
    const REFUSALS_PER_SESSION: Quota = Quota::of(20, Duration::from_mins(1));
    /// Recorded refresh tokens that were made up, from one network.
    const REFUSALS_PER_NETWORK: Quota = Quota::of(5, Duration::from_mins(1));
    /// Recorded refusals of one node that cost their senders nothing: whoever has many addresses fills no disk with them, at most
    /// 86,400 rows a day.
    const REFUSALS_PER_NODE: Quota = Quota::of(60, Duration::from_secs(1));

    /// The quota of a scope.
    #[must_use]
    pub const fn quota(&self, scope: LimitScope) -> Quota {
        match scope {
            LimitScope::LoginAddress => self.login_per_address,
            LimitScope::LoginAccount => self.login_per_account,
            LimitScope::RegistrationAddress => self.registration_per_address,
            LimitScope::RefreshSession => self.refresh_per_session,
            LimitScope::PasswordAccount => self.password_per_account,
            // What is recorded of refusals: no settings, and in force whether limits are enabled or not.
            LimitScope::RefusalSubject => Self::REFUSALS_PER_SUBJECT,
            LimitScope::RefusalSession => Self::REFUSALS_PER_SESSION,
            LimitScope::RefusalNetwork => Self::REFUSALS_PER_NETWORK,
            LimitScope::RefusalNode => Self::REFUSALS_PER_NODE,
            LimitScope::LoginAddressAccount => self.login_per_address_and_account,
            LimitScope::LoginDevice => self.login_per_device,
            LimitScope::LoginNode => self.logins_per_node,
            LimitScope::RegistrationNode => self.registrations_per_node,
            LimitScope::RequestAddress => self.requests_per_address,
            LimitScope::CodeAccount => self.codes_per_account,
            LimitScope::CodeAddress => self.codes_per_address,
            LimitScope::SmsNumber => self.sms_per_number,
            LimitScope::SmsCountry => self.sms_per_country,
            LimitScope::SmsTotal => self.sms_in_all,
            LimitScope::LinkAddress => self.links_per_address,
            LimitScope::LinkRecipient => self.links_per_recipient,
            LimitScope::PasskeyAddress => self.passkeys_per_address,
        }
    }
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            login_per_address: Quota::of(100, Duration::from_secs(1)),
            login_per_address_and_account: Quota::of(10, Duration::from_secs(30)),
            login_per_account: Quota::of(20, Duration::from_secs(15)),
            login_per_device: Quota::of(10, Duration::from_secs(30)),
            logins_per_node: Quota::of(500, Duration::from_millis(20)),
            registrations_per_node: Quota::of(200, Duration::from_millis(200)),
            requests_per_address: Quota::of(1_000, Duration::from_millis(10)),
            links_per_address: Quota::of(20, Duration::from_mins(1)),
            links_per_recipient: Quota::of(5, Duration::from_mins(10)),
            passkeys_per_address: Quota::of(200, Duration::from_millis(500)),
            codes_per_account: Quota::of(5, Duration::from_mins(12)),
            codes_per_address: Quota::of(20, Duration::from_mins(1)),
            sms_per_number: Quota::of(5, Duration::from_mins(12)),
            sms_per_country: Quota::of(100, Duration::from_secs(10)),
            sms_in_all: Quota::of(200, Duration::from_secs(5)),
            guessing: GuessingConfig::default(),
            registration_per_address: Quota::of(50, Duration::from_mins(1)),
            refresh_per_session: Quota::of(60, Duration::from_secs(1)),
            password_per_account: Quota::of(10, Duration::from_secs(30)),
            nodes: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_counted_and_every_scope_has_its_own() {
        let limits = LimitConfig::default();
        for scope in LimitScope::ALL {
            let quota = limits.quota(scope);
            assert_eq!(Quota::new(quota.burst(), quota.interval()), Ok(quota), "{scope:?}");
        }
        assert_eq!(limits.quota(LimitScope::RegistrationAddress), limits.registration_per_address);
        assert_ne!(limits.quota(LimitScope::LoginAddress), limits.quota(LimitScope::LoginAccount));
    }
}
