//! The values of those switches that are neither yes-or-no nor a number.
//!
//! Refuses unknown names, as all switches do.

use serde::{Deserialize, Serialize};

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$own:meta])* $value:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$own])* $value,)* }
    )*};
}

choices! {
    /// What `roles` and `roleNames` show.
    PluralRoles {
        /// Every role.
        Full,
        /// Nothing: both are always `[]`.
        Empty,
        /// Every role, if there are several; both are absent otherwise.
        WithSeveral,
    }

    /// What `role` and `roleName` show of several roles.
    RoleNameOfSeveral {
        /// The one that was given first.
        First,
        /// The one that was given last.
        Last,
        /// Both keys are absent.
        Absent,
    }

    /// What `role` holds.
    RoleShown {
        /// The identifier that `/api/v2/roles` shows.
        Id,
        /// The name, as in `roleName`.
        Name,
        /// The key is absent.
        Absent,
    }

    /// The key of an identifier.
    IdKey {
        /// `_id`.
        V1,
        /// `id`.
        V2,
        /// Both.
        Both,
    }

    /// What a written `roleNames` does.
    RoleNamesWrite {
        /// The account holds exactly these roles.
        Replaces,
        /// The roles are added to those held.
        Adds,
        /// The field is not known and silently ignored.
        Ignored,
        /// The field is not known: 400.
        Refused,
    }

    /// What a written `roleName` does without `roleNames` beside it.
    RoleNameWrite {
        /// The account holds this role only.
        ReplacesAll,
        /// The role takes the place of the first one; further roles stay.
        ReplacesFirst,
        /// The role is added to those held.
        Adds,
        /// Silently ignored if the account holds several roles.
        IgnoredWithSeveral,
    }

    /// Which field counts if `roleName` and `roleNames` are both written.
    BothWritten {
        /// `roleNames`.
        RoleNamesWins,
        /// `roleName`.
        RoleNameWins,
    }

    /// What a written field that no document describes does.
    FieldWritten {
        /// Silently ignored.
        Ignored,
        /// It does what its name says.
        Obeyed,
        /// 400.
        Refused,
    }

    /// What `roleName: null` and `roleName: ""` do.
    BlankRole {
        /// 400.
        Refused,
        /// As if it were not there.
        Ignored,
        /// Takes every role away.
        Removes,
    }

    /// What becomes of fields that a `PUT` leaves out.
    PutOmitted {
        /// They stay.
        Kept,
        /// Without a role in it, the account gets the default role.
        RoleReset,
        /// Names become empty, `enableMultiFactor` and `apiKeyAllowed` false; roles stay.
        FlagsReset,
    }

    /// The body of the answer to a `PUT`.
    PutAnswer {
        /// The account as it is now.
        Account,
        /// The account as it was before.
        OldAccount,
        /// `{}`.
        EmptyObject,
        /// Nothing.
        Nothing,
    }

    /// The body of the answer to a create.
    CreateAnswer {
        /// The account, as reads show it.
        Account,
        /// The account with its identifier under `id`.
        V2Id,
        /// The identifier alone, under `_id`.
        IdOnly,
        /// `{}`.
        EmptyObject,
        /// Nothing.
        Nothing,
    }

    /// What `totalCount` says.
    TotalCount {
        /// How many there are.
        Exact,
        /// The key is absent.
        Absent,
        /// How many are on this page.
        OfPage,
        /// One more than there are.
        TooHigh,
        /// One less than there are.
        TooLow,
    }

    /// What `getSelf` answers to a service account.
    ServiceSelf {
        /// An object with its identifier, role and organization, and no address.
        Object,
        /// 404.
        NotFound,
        /// 403.
        Forbidden,
    }

    /// Which roles are listed.
    RolesListed {
        /// All.
        All,
        /// The built-in ones.
        BuiltIn,
        /// The custom ones.
        Custom,
    }

    /// What becomes of the holders of a role that is deleted.
    RoleDeletion {
        /// They lose it, and may have none left.
        HoldersLoseIt,
        /// They go on showing its name, which means nothing any more.
        HoldersKeepIt,
        /// The role is not deleted: 400.
        Refused,
    }

    /// What `x-org-id` does on a route.
    OrgIdRule {
        /// It is checked, and chooses the organization.
        Accepted,
        /// It is not looked at, and not needed; all organizations of the key answer.
        Ignored,
        /// 403, and all organizations of the key answer without it.
        Refused,
    }

    /// The `Retry-After` of an answer to one request too many.
    RetryAfter {
        /// None.
        Absent,
        /// A number of seconds.
        Seconds,
        /// An HTTP date.
        Date,
        /// Neither.
        Junk,
    }

    /// The unit of `ttl` in `POST /api/users/generateApiKey`.
    KeyTtl {
        /// The route does not exist.
        NoRoute,
        /// 86 400 seconds.
        Days,
        /// 3600 seconds.
        Hours,
        /// One second.
        Seconds,
    }

    /// What the `changes` of an event hold.
    InsightChanges {
        /// `roleName` with names of roles.
        Names,
        /// `role` with identifiers of roles.
        Ids,
        /// `role` with values that mean nothing outside.
        Opaque,
        /// There are none.
        Absent,
    }

    /// How a service account appears as the author of an event.
    InsightService {
        /// With `"type": "service_account"`, its identifier and its name.
        OwnType,
        /// With `"type": "admin"` and its identifier.
        AsAdmin,
        /// There is no `initiated_by`.
        Absent,
    }

    /// What is in the body of an error.
    ErrorBody {
        /// `{"message", "error"}`, as seen in the wild.
        Seen,
        /// `{"code", "message", "status"}`, as JumpCloud's V1 document says.
        Documented,
        /// The same and `details`, as JumpCloud's V2 document says.
        Details,
        /// Plain text.
        Text,
        /// An HTML page.
        Html,
        /// Nothing.
        Empty,
    }
}
