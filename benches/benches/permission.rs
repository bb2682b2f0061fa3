//! The permission check, for somebody with 50 roles that give 1,000 permissions.

use std::hint::black_box;

use authkit_core::model::{Assignment, Role, StoredRoles};
use authkit_core::rbac::{EffectiveAccess, RoleGraph};
use authkit_core::{Clock as _, Scope, SystemClock, Timestamp};
use criterion::{Criterion, criterion_group, criterion_main};

const ROLES: usize = 50;
const PERMISSIONS: usize = 1_000;

fn roles() -> Vec<Role> {
    let permissions = |of: usize| {
        let each = PERMISSIONS / ROLES;
        (of * each..(of + 1) * each).map(|n| format!("resource-{}:action-{n}", n % 100).parse().expect("a permission")).collect()
    };
    let role = |n: usize| Role {
        name: format!("role-{n}").parse().expect("a name"),
        permissions: permissions(n),
        built_in: false,
        ..Role::built_in()[1].clone()
    };
    (0..ROLES).map(role).collect()
}

fn check(criterion: &mut Criterion) {
    let roles = roles();
    let scope: Scope = "tenant:acme".parse().expect("a scope");
    let given = |role: &Role, expires_at| Assignment {
        role: role.name.clone(),
        scope: None,
        expires_at,
        assigned_by: None,
        assigned_at: Timestamp::UNIX_EPOCH,
    };
    let graph = RoleGraph::of(&StoredRoles { version: 1, roles: roles.clone() });
    let now = || SystemClock.now();
    let mut group = criterion.benchmark_group("permission");
    let for_good: Vec<_> = roles.iter().map(|role| given(role, None)).collect();
    let access = EffectiveAccess::of(&for_good, &graph);
    group.bench_function("held", |b| b.iter(|| access.holds(black_box("resource-42:action-542"), now)));
    group.bench_function("not_held", |b| b.iter(|| access.holds(black_box("resource-42:action-9999"), now)));
    group.bench_function("held_in_scope", |b| b.iter(|| access.holds_in(black_box("resource-42:action-542"), &scope, now)));
    group.bench_function("work_out", |b| b.iter(|| EffectiveAccess::of(black_box(&for_good), &graph)));
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
