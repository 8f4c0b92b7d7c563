//! The list of switches. Refuses a switch without values to test, as the macro wants them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    value,
    values::{
        BlankRole, BothWritten, CreateAnswer, ErrorBody, FieldWritten, IdKey, InsightChanges, InsightService,
        KeyTtl, OrgIdRule, PluralRoles, PutAnswer, PutOmitted, RetryAfter, RoleDeletion, RoleNameOfSeveral,
        RoleNameWrite, RoleNamesWrite, RoleShown, RolesListed, ServiceSelf, TotalCount,
    },
};

switches! {
    /// Whether answers carry `roles` and `roleNames`.
    plural_roles_shown: bool = true, [false];
    /// What is in `roles` and `roleNames` where they are shown.
    plural_roles: PluralRoles = PluralRoles::Full, [PluralRoles::Empty, PluralRoles::WithSeveral];
    /// What `role` and `roleName` show of several roles.
    role_name_of_several: RoleNameOfSeveral = RoleNameOfSeveral::First,
        [RoleNameOfSeveral::Last, RoleNameOfSeveral::Absent];
    /// What `role` holds.
    role_shown: RoleShown = RoleShown::Id, [RoleShown::Name, RoleShown::Absent];
    /// The key of an administrator's identifier.
    id_key: IdKey = IdKey::V1, [IdKey::V2, IdKey::Both];
    /// Whether administrators carry `suspended`.
    suspended_shown: bool = true, [false];
    /// Whether administrators carry `organization`.
    organization_shown: bool = true, [false];

    /// What a written `roleNames` does.
    role_names: RoleNamesWrite = RoleNamesWrite::Replaces,
        [RoleNamesWrite::Adds, RoleNamesWrite::Ignored, RoleNamesWrite::Refused];
    /// What a written `roleName` does without `roleNames` beside it.
    role_name: RoleNameWrite = RoleNameWrite::ReplacesAll,
        [RoleNameWrite::ReplacesFirst, RoleNameWrite::Adds, RoleNameWrite::IgnoredWithSeveral];
    /// Which of the two counts if both are written.
    both: BothWritten = BothWritten::RoleNamesWins, [BothWritten::RoleNameWins];
    /// What a written `role` (a name or an identifier) does.
    role_field: FieldWritten = FieldWritten::Ignored, [FieldWritten::Obeyed, FieldWritten::Refused];
    /// Whether role names are matched without regard to case.
    role_case_ignored: bool = false, [true];
    /// Whether white space around a role name is dropped.
    role_trimmed: bool = false, [true];
    /// Whether `roleName` and `roleNames` take the names of custom roles.
    custom_role_names: bool = true, [false];
    /// Whether `roleName` and `roleNames` take identifiers of roles too.
    role_ids_accepted: bool = false, [true];
    /// What `roleName: null` and `roleName: ""` do.
    blank_role: BlankRole = BlankRole::Refused, [BlankRole::Ignored, BlankRole::Removes];
    /// Whether `roleNames: []` takes every role away; otherwise it is refused with 400.
    empty_roles_accepted: bool = false, [true];
    /// The status for a role that does not exist; below 300, the name is ignored.
    unknown_role_status: u16 = 400, [404, 422, 500, 200];
    /// Roles that nobody may give through the API.
    ungrantable_roles: Vec<String> = Vec::new(), [vec!["Administrator".to_owned()]];
    /// Whether one may give a role with scopes that one does not hold.
    roles_above_own: bool = true, [false];
    /// The status for a role that may not be given.
    forbidden_role_status: u16 = 403, [400];
    /// Whether fields that are not documented are refused with 400; otherwise they are ignored.
    unknown_fields_refused: bool = false, [true];
    /// What becomes of fields that a `PUT` leaves out.
    put_omitted: PutOmitted = PutOmitted::Kept, [PutOmitted::RoleReset, PutOmitted::FlagsReset];
    /// The body of the answer to a `PUT`.
    put_answer: PutAnswer = PutAnswer::Account,
        [PutAnswer::OldAccount, PutAnswer::EmptyObject, PutAnswer::Nothing];
    /// What a written `suspended` does.
    suspended_written: FieldWritten = FieldWritten::Ignored, [FieldWritten::Obeyed, FieldWritten::Refused];

    /// The fields that a `POST /api/users` needs.
    create_requires: Vec<String> = vec!["email".to_owned()],
        [vec!["email".to_owned(), "roleName".to_owned()],
         vec!["email".to_owned(), "firstname".to_owned(), "lastname".to_owned()]];
    /// The role of a new administrator if none is written.
    default_role: Option<String> = Some("Administrator".to_owned()), [Some("Read Only".to_owned()), None];
    /// Whether a new administrator without role and default role is made; otherwise it is refused.
    roleless_created: bool = false, [true];
    /// The status of a successful `POST /api/users`.
    create_status: u16 = 200, [201];
    /// The body of the answer to a successful `POST /api/users`.
    create_answer: CreateAnswer = CreateAnswer::Account,
        [CreateAnswer::V2Id, CreateAnswer::IdOnly, CreateAnswer::EmptyObject, CreateAnswer::Nothing];
    /// What a written `password` does: an administrator who has one needs no activation.
    password_written: FieldWritten = FieldWritten::Ignored, [FieldWritten::Obeyed, FieldWritten::Refused];
    /// Whether a new administrator is sent an activation mail.
    activation_mail: bool = true, [false];
    /// The status for an e-mail address that is taken; below 300, the answer is who has it.
    duplicate_status: u16 = 400, [409, 422, 200];
    /// The status for an e-mail address that is taken in another organization.
    duplicate_elsewhere_status: u16 = 400, [409, 403];

    /// The status for an identifier that nobody has.
    missing_id_status: u16 = 404, [400, 403, 410];
    /// The status for an identifier that is none.
    malformed_id_status: u16 = 400, [404, 500];
    /// The status for deleting somebody again; below 300, the answer looks like the first one.
    deleted_again_status: u16 = 404, [400, 410, 200];
    /// The status for a route or method that does not exist.
    unknown_route_status: u16 = 404, [400, 403, 405];
    /// Whether `DELETE` answers 200 with the deleted account; otherwise 204.
    delete_shows_account: bool = true, [false];
    /// Whether one may change one's own role.
    own_role_may_change: bool = true, [false];
    /// Whether one may delete oneself.
    own_account_may_go: bool = false, [true];
    /// Whether a role change by `PUT` may take the last Administrator With Billing away.
    last_admin_may_be_demoted: bool = false, [true];
    /// Whether the last Administrator With Billing may be deleted.
    last_admin_may_be_deleted: bool = false, [true];
    /// The status for what the four switches above forbid.
    protected_status: u16 = 400, [403, 409];

    /// Whether `filter` is understood (`email:$eq:…`, `roleName:$eq:…`); otherwise it is ignored.
    filter: bool = false, [true];
    /// Whether `search` is understood; otherwise it is ignored.
    search: bool = false, [true];
    /// Whether `sort` is understood; otherwise it is ignored.
    sort: bool = true, [false];
    /// Whether `fields` is understood; otherwise it is ignored.
    fields: bool = false, [true];
    /// The size of a page if none is asked for.
    page_default: usize = 10, [100, 3];
    /// The largest page.
    page_max: usize = 100, [10, 3];
    /// Whether a larger `limit` is refused with 400; otherwise the largest page comes.
    page_over_max_refused: bool = false, [true];
    /// Whether lists without `sort` come in another order each time.
    unstable_order: bool = false, [true];
    /// What `totalCount` says.
    total_count: TotalCount = TotalCount::Exact,
        [TotalCount::Absent, TotalCount::OfPage, TotalCount::TooHigh, TotalCount::TooLow];
    /// Whether lists are bare arrays.
    bare_lists: bool = false, [true];

    /// Whether `/api/users/getSelf` exists.
    get_self: bool = true, [false];
    /// The status of `getSelf` where it is off.
    get_self_missing_status: u16 = 404, [403];
    /// Whether `getSelf` tells the organization.
    get_self_organization: bool = true, [false];
    /// Whether `getSelf` tells the role.
    get_self_role: bool = true, [false];
    /// What `getSelf` answers to a service account.
    get_self_for_services: ServiceSelf = ServiceSelf::Object,
        [ServiceSelf::NotFound, ServiceSelf::Forbidden];
    /// The status of `/api/organizations`; anything but 200 is a refusal.
    organizations_status: u16 = 200, [403, 404];
    /// Whether `/api/v2/roles` exists.
    roles_route: bool = true, [false];
    /// The status of `/api/v2/roles` where it is off.
    roles_missing_status: u16 = 404, [403];
    /// Whether roles carry `scopes`.
    role_scopes_shown: bool = true, [false];
    /// Which roles are listed.
    roles_listed: RolesListed = RolesListed::All, [RolesListed::BuiltIn, RolesListed::Custom];
    /// What becomes of the holders of a role that is deleted.
    role_deletion: RoleDeletion = RoleDeletion::HoldersLoseIt,
        [RoleDeletion::HoldersKeepIt, RoleDeletion::Refused];

    /// Whether a multi-tenant key needs `x-org-id` (else 401); otherwise all its organizations answer.
    org_id_required: bool = true, [false];
    /// The status for an `x-org-id` that is no identifier.
    org_id_malformed_status: u16 = 400, [404];
    /// The status for the `x-org-id` of no organization.
    org_id_unknown_status: u16 = 404, [401, 403];
    /// The status for the `x-org-id` of an organization that the key does not see.
    org_id_foreign_status: u16 = 404, [401, 403];
    /// Whether `x-org-id` is refused with 403 everywhere under `/api/users`.
    users_refuse_org_id: bool = false, [true];
    /// What `x-org-id` does on `getSelf`.
    org_id_on_get_self: OrgIdRule = OrgIdRule::Accepted, [OrgIdRule::Ignored, OrgIdRule::Refused];
    /// What `x-org-id` does on reads of `/api/users`.
    org_id_on_users_read: OrgIdRule = OrgIdRule::Accepted, [OrgIdRule::Ignored, OrgIdRule::Refused];
    /// What `x-org-id` does on writes of `/api/users`.
    org_id_on_users_write: OrgIdRule = OrgIdRule::Accepted, [OrgIdRule::Ignored, OrgIdRule::Refused];
    /// What `x-org-id` does on `/api/v2/roles`.
    org_id_on_roles: OrgIdRule = OrgIdRule::Accepted, [OrgIdRule::Ignored, OrgIdRule::Refused];
    /// Whether a provider's administrators are listed in the organizations they are linked to.
    linked_admins_listed: bool = true, [false];
    /// The key of a provider administrator's identifier.
    provider_id_key: IdKey = IdKey::V2, [IdKey::V1, IdKey::Both];
    /// Whether `roleName` counts if a new provider administrator is given `role` too.
    provider_role_name_wins: bool = true, [false];

    /// How long reads go on showing the state before a change, in milliseconds.
    read_lag_ms: u64 = 0, [300, 1500];
    /// The same for lists alone.
    list_lag_ms: u64 = 0, [1500];
    /// The same for reads of one account alone.
    get_lag_ms: u64 = 0, [1500];
    /// Whether only every second read lags.
    lag_alternates: bool = false, [true];
    /// How long after a change reads show the state before it once more; 0: never.
    stale_after_ms: u64 = 0, [2000];
    /// For how long they do.
    stale_for_ms: u64 = 1000, [3000];

    /// Requests that a key may make in a second; 0: as many as it likes.
    rate_limit: u32 = 0, [20, 5];
    /// The status for one request too many; 403 looks like a block of the address.
    rate_limit_status: u16 = 429, [403];
    /// The `Retry-After` of such an answer.
    retry_after: RetryAfter = RetryAfter::Seconds, [RetryAfter::Absent, RetryAfter::Date, RetryAfter::Junk];
    /// Whether answers carry `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    rate_headers: bool = false, [true];
    /// How long a key acts with the role that its owner had before a change, in milliseconds.
    key_keeps_role_ms: u64 = 0, [1500];
    /// How long a key outlives its owner, or the right to have it, in milliseconds.
    key_survives_owner_ms: u64 = 0, [1500];
    /// Whether a change of role kills the administrator's key.
    role_change_kills_key: bool = false, [true];
    /// Whether a change of role ends the administrator's portal sessions.
    role_change_ends_sessions: bool = false, [true];
    /// Whether `apiKeyHash` tells `expireAt`.
    key_expiry_shown: bool = true, [false];
    /// The unit of `ttl` in `POST /api/users/generateApiKey`, if that route exists.
    generate_api_key: KeyTtl = KeyTtl::NoRoute, [KeyTtl::Days, KeyTtl::Hours, KeyTtl::Seconds];

    /// Seconds that an access token lasts.
    token_lifetime_s: u32 = 3600, [60, 3];
    /// Whether the token's answer carries `expires_in`.
    token_expires_in: bool = true, [false];
    /// Whether an access token is no JWT.
    token_opaque: bool = false, [true];
    /// Whether a service account may write administrators if its role may.
    services_write_admins: bool = true, [false];
    /// Whether `/api/v2/service-accounts` exists.
    services_route: bool = true, [false];
    /// Whether service accounts can be made by `POST`; otherwise 404, as seen on a tenant.
    services_created: bool = false, [true];

    /// The status of Directory Insights; anything but 200 is a refusal.
    insights_status: u16 = 200, [401, 403, 404];
    /// Whether Directory Insights has events of administrators.
    insights_admin_events: bool = true, [false];
    /// How long after an act its event can be seen, in milliseconds.
    insights_delay_ms: u64 = 0, [2000];
    /// Days that an event is kept.
    insights_retention_days: u32 = 90, [1];
    /// What the `changes` of an event hold.
    insights_changes: InsightChanges = InsightChanges::Names,
        [InsightChanges::Ids, InsightChanges::Opaque, InsightChanges::Absent];
    /// How a service account appears as the author of an event.
    insights_services: InsightService = InsightService::OwnType,
        [InsightService::AsAdmin, InsightService::Absent];
    /// Whether suspending is an event of its own; otherwise an update.
    insights_suspend_events: bool = false, [true];
    /// Whether custom roles and service accounts have events.
    insights_role_events: bool = false, [true];

    /// What is in the body of an error.
    error_body: ErrorBody = ErrorBody::Seen,
        [ErrorBody::Documented, ErrorBody::Details, ErrorBody::Text, ErrorBody::Html, ErrorBody::Empty];
}
