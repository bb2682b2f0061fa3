//! Acting as somebody else ends with the power to do so, by whatever path that goes.

use std::time::Duration;

use authkit_core::config::Config;
use authkit_core::flows::{Administrator, NewRole, RoleGrant, RoleUpdate, Run};
use authkit_core::model::{Patch, RevocationReason};
use authkit_core::{AuthKit, Email, ImpersonationReason, LoggedIn, Registration, RoleName, Timestamp, UserId};

use crate::support::{World, password, principal, request};

const OPERATOR: Administrator<'static> = Administrator::Operator;

fn name(text: &str) -> RoleName {
    text.parse().expect("a name")
}

fn grant(user_id: UserId, role: &str, expires_at: Option<Timestamp>) -> RoleGrant {
    RoleGrant { user_id, role: name(role), scope: None, expires_at }
}

/// A node, an administrator by the roles `support` and `billing`, somebody by the role `clerk`, and the node's world.
struct Office {
    world: World,
    auth: AuthKit,
    admin: LoggedIn,
    jane: LoggedIn,
}

impl Office {
    async fn open() -> Self {
        let world = World::new();
        let auth = world.node().await;
        for (role, permissions, inherits) in [
            ("base", &["users:impersonate", "users:read"][..], &[][..]),
            ("support", &[], &["base"]),
            ("billing", &["invoice:write", "invoice:read"], &[]),
            ("clerk", &["invoice:read"], &[]),
            ("boss", &["payroll:write"], &[]),
        ] {
            let role = NewRole {
                name: name(role),
                description: None,
                permissions: permissions.iter().map(|text| text.parse().expect("a permission")).collect(),
                inherits: inherits.iter().map(|text| name(text)).collect(),
                mfa_required: false,
            };
            auth.roles().create(OPERATOR, &role, Run::Real, &request()).await.expect("makes");
        }
        let user = async |address: &str| {
            let registration = Registration::new(Email::parse(address).expect("an address"), password("SecurePass123"));
            auth.accounts().register(registration, &request()).await.expect("registers")
        };
        let (admin, jane) = (user("admin@example.com").await, user("jane@example.com").await);
        let office = Self { world, auth: auth.clone(), admin, jane };
        office.assign(grant(office.admin.user.id, "support", None)).await;
        office.assign(grant(office.admin.user.id, "billing", None)).await;
        office.assign(grant(office.jane.user.id, "clerk", None)).await;
        office
    }

    async fn assign(&self, grant: RoleGrant) {
        self.auth.roles().assign(OPERATOR, &grant, Run::Real, &request()).await.expect("assigns");
    }

    async fn unassign(&self, id: UserId, role: &str) {
        self.auth.roles().unassign(OPERATOR, id, &name(role), None, Run::Real, &request()).await.expect("takes");
    }

    async fn update(&self, role: &str, permissions: &[&str]) {
        let permissions = permissions.iter().map(|text| text.parse().expect("a permission")).collect();
        let update = RoleUpdate { permissions: Some(permissions), ..RoleUpdate::default() };
        self.auth.roles().update(OPERATOR, &name(role), &update, Run::Real, &request()).await.expect("updates");
    }

    async fn begin(&self) -> authkit_core::flows::Impersonation {
        let by = principal(&self.auth, &self.admin);
        let reason = ImpersonationReason::parse("a question of hers").expect("a reason");
        self.auth.accounts().impersonate(&by, self.jane.user.id, &reason, &request()).await.expect("begins")
    }

    fn acts(&self, acting: &authkit_core::flows::Impersonation) -> bool {
        self.auth.authenticate(acting.access_token.expose()).is_ok()
    }

    /// Begins to act, does something, and is told that it is over; here, in the store, and on a node that starts afterwards.
    async fn ends_by(what: &str, demote: impl AsyncFnOnce(&Self)) {
        let office = Self::open().await;
        let acting = office.begin().await;
        assert!(office.acts(&acting), "{what}");
        demote(&office).await;
        assert!(!office.acts(&acting), "she still acts after: {what}");
        let read = office.world.store.session_by_id(acting.session_id).await.expect("reads").expect("is kept");
        assert_eq!(read.session.revoked.map(|(_, reason)| reason), Some(RevocationReason::ImpersonationEnded), "{what}");
        let fresh = office.world.node().await;
        assert!(fresh.authenticate(acting.access_token.expose()).is_err(), "{what}");
        // Nobody was logged out for it.
        assert!(office.auth.authenticate(office.jane.tokens.access_token.expose()).is_ok(), "{what}");
        assert!(office.auth.authenticate(office.admin.tokens.access_token.expose()).is_ok(), "{what}");
    }
}

#[tokio::test]
async fn whoever_is_demoted_acts_as_nobody_any_more_whatever_path_it_went() {
    Office::ends_by("the role is taken", async |office| office.unassign(office.admin.user.id, "support").await).await;
    Office::ends_by("another role is taken", async |office| office.unassign(office.admin.user.id, "billing").await).await;
    Office::ends_by("the assignment gets an end", async |office| {
        let end = office.world.clock_now() + Duration::from_mins(1);
        office.assign(grant(office.admin.user.id, "support", Some(end))).await;
    })
    .await;
    Office::ends_by("the role gives less", async |office| office.update("billing", &["invoice:write"]).await).await;
    Office::ends_by("what the role inherits gives less", async |office| office.update("base", &["users:read"]).await).await;
    Office::ends_by("the role inherits less", async |office| {
        let update = RoleUpdate { inherits: Some([].into()), ..RoleUpdate::default() };
        office.auth.roles().update(OPERATOR, &name("support"), &update, Run::Real, &request()).await.expect("updates");
    })
    .await;
}

#[tokio::test]
async fn nobody_acts_as_somebody_who_has_come_to_hold_more() {
    Office::ends_by("she is given a role", async |office| office.assign(grant(office.jane.user.id, "boss", None)).await).await;
    Office::ends_by("her role gives more", async |office| office.update("clerk", &["invoice:read", "payroll:write"]).await).await;
}

#[tokio::test]
async fn what_takes_nothing_from_whoever_acts_and_gives_nothing_to_the_other_ends_nothing() {
    let office = Office::open().await;
    let acting = office.begin().await;
    office.update("boss", &["payroll:read"]).await;
    let words = RoleUpdate { description: Patch::Clear, ..RoleUpdate::default() };
    office.auth.roles().update(OPERATOR, &name("clerk"), &words, Run::Real, &request()).await.expect("updates");
    office.assign(grant(office.admin.user.id, "boss", None)).await;
    office.unassign(office.jane.user.id, "clerk").await;
    // And a change that is only shown.
    let roles = office.auth.roles();
    roles.unassign(OPERATOR, office.admin.user.id, &name("support"), None, Run::Dry, &request()).await.expect("decides");
    assert!(office.acts(&acting));
}

#[tokio::test]
async fn it_lasts_no_longer_than_what_it_needs() {
    let office = Office::open().await;
    let now = office.world.clock_now();
    let lifetime = Config::new("https://auth.example").tokens.impersonation_lifetime;
    assert_eq!(office.begin().await.expires_in, lifetime);
    // What she does not need for it may end.
    office.assign(grant(office.admin.user.id, "boss", Some(now + Duration::from_mins(1)))).await;
    assert_eq!(office.begin().await.expires_in, lifetime);
    // Without `billing` she would hold less than Jane.
    office.assign(grant(office.admin.user.id, "billing", Some(now + Duration::from_mins(5)))).await;
    let acting = office.begin().await;
    assert_eq!(acting.expires_in, Duration::from_mins(5));
    office.assign(grant(office.admin.user.id, "support", Some(now + Duration::from_mins(2)))).await;
    assert!(!office.acts(&acting), "shortened");
    let acting = office.begin().await;
    assert_eq!(acting.expires_in, Duration::from_mins(2));
    office.world.clock.advance(Duration::from_mins(2) + office.world.config.tokens.leeway);
    assert!(!office.acts(&acting));
}

#[tokio::test]
async fn it_needs_a_recent_proof_and_ends_by_itself() {
    let office = Office::open().await;
    let acting = office.begin().await;
    let lifetime = office.world.config.tokens.impersonation_lifetime;
    office.world.clock.advance(lifetime.saturating_sub(Duration::from_secs(1)));
    assert!(office.acts(&acting));
    office.world.clock.advance(Duration::from_secs(1) + office.world.config.tokens.leeway);
    assert!(!office.acts(&acting));
    office.world.clock.advance(office.world.config.sessions.recent_authentication);
    let renewed = crate::support::refresh(&office.auth, &office.admin.tokens.refresh_token).await;
    let by = principal(&office.auth, &renewed);
    let reason = ImpersonationReason::parse("a question of hers").expect("a reason");
    let refused = office.auth.accounts().impersonate(&by, office.jane.user.id, &reason, &request()).await;
    assert_eq!(refused.expect_err("long ago").code(), "auth.reauthentication_required");
    let again = office.auth.sessions().reauthenticate(&by, password("SecurePass123"), &request()).await.expect("proves");
    let by = office.auth.authenticate(again.0.expose()).expect("authenticates");
    office.auth.accounts().impersonate(&by, office.jane.user.id, &reason, &request()).await.expect("begins");
}
