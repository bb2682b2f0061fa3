//! What a store can do wrong.

/// What a [`MutantStore`](super::MutantStore) does wrong, each the way a real store goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// Nothing: the wrapper alone.
    Nothing,
    /// Compares generation and secret, and writes a moment later.
    ChecksThenRotates,
    /// Shows with a refusal the row as it was before it.
    ShowsTheStateBeforeTheRefusal,
    /// A rotation is not guarded by the generation.
    RotatesAnyGeneration,
    /// A rotation is not guarded by the secret.
    RotatesWithAnySecret,
    /// A rotation is guarded by nothing but that the session is live.
    RotatesUnguarded,
    /// A rotation is not guarded by the ends of the session.
    RotatesWhatExpired,
    /// A rotation does not note its client.
    ForgetsWhoUsedItLast,
    /// A rotation lets the idle end pass the absolute one.
    DoesNotCutTheIdleEnd,
    /// Shows with a refusal a secret that nobody can derive, as if successors were drawn.
    DrawsTheSuccessor,
    /// Each change of a set is a transaction of its own.
    CommitsChangeByChange,
    /// Applies the first half of a set, and says that it applied all of it.
    CommitsTheFirstHalf,
    /// Says yes, and applies the set with the next one.
    RepliesBeforeTheCommit,
    /// A set that is refused leaves its last change behind.
    AppliesWhatComesBehindAFailure,
    /// Names the last guard that does not hold, not the first.
    NamesTheLastGuard,
    /// Keeps no audit events.
    DropsAuditEvents,
    /// Tells addresses apart by their case.
    ComparesSpellings,
    /// Keeps the normal form of an address only.
    LosesTheSpelling,
    /// Looks whether an address is free, and inserts a moment later, unguarded.
    ChecksTheAddressThenInserts,
    /// Keeps times to the millisecond.
    CutsTimesToMilliseconds,
    /// A session begins whatever became of the account.
    IgnoresTheEpoch,
    /// Compares the epoch of the account, and begins the session a moment later.
    ChecksTheEpochThenBegins,
    /// Compares the password, and replaces it a moment later.
    ChecksThePasswordThenReplaces,
    /// A replacement is not guarded by the password that was verified.
    ReplacesAnyPassword,
    /// Ending all sessions ends the one that should stay, too.
    ForgetsTheException,
    /// Ending all sessions ends none.
    LosesRevokeAll,
    /// The end of a session for the reuse of its token is acknowledged and not kept.
    ForgetsTheReuse,
    /// Ending a session that has ended succeeds.
    RevokesAgain,
    /// Does not say which sessions a commit has ended.
    ReportsNoRevocation,
    /// One session more than the cap may stay.
    CapIsOneTooMany,
    /// The cap ends the oldest session, not the longest unused.
    CapCountsByAge,
    /// Counts the sessions, and ends those beyond the cap a moment later.
    CountsThenEnforcesTheCap,
    /// There is no cap.
    EnforcesNoCap,
    /// A session is live at the instant at which it ends.
    LiveOneTickTooLong,
    /// Reads revocations from the mark on, not behind it.
    RepeatsTheMark,
    /// Skips the other revocations of the mark's instant.
    SkipsTheRestOfAnInstant,
    /// A page begins with the last item of the one before.
    CursorIsInclusive,
    /// Every page names a next one.
    PagesNeverEnd,
    /// Shows the events of every account.
    ForgetsTheSubject,
    /// Counts a guess by reading the count, and writing the next one a moment later.
    ReadsThenCountsAGuess,
    /// A guess is let through whatever was counted since the count was read.
    ReservesWhateverWasRead,
    /// A count of guesses is never forgotten.
    ForgetsNoGuesses,
    /// Counts are purged however high they are.
    PurgesEveryCount,
    /// Guesses at an address without an account are not shown.
    ReadsNoGuessesOfNobody,
    /// Second factors are written whatever was written since they were read.
    WritesFactorsWhateverWasRead,
    /// Second factors are never forgotten.
    ForgetsNoFactors,
    /// The second factors in force are never changed.
    KeepsTheFactorsInForce,
    /// The last time step of an authenticator app is not kept.
    LosesTheLastStep,
    /// Reads a one-time token, and takes it away a moment later.
    ReadsTheTokenThenTakesIt,
    /// A one-time token serves every purpose.
    TakesATokenForAnything,
    /// A one-time token lives one tick too long.
    TakesAnExpiredToken,
    /// Every guess is free.
    GuessesCostNothing,
    /// Two workers get the same message.
    ClaimsTwice,
    /// A worker whose lease has run out still has its say.
    ForgetsWhoseMessageItIs,
    /// Keeps what was said when it was delivered.
    KeepsWhatWasDelivered,
    /// An address can be proved by a proof of another one.
    VerifiesAnyAddress,
    /// Counts the passkeys of an account, and keeps one more a moment later.
    CountsThenKeepsThePasskey,
    /// The use of a passkey leaves no trace.
    RecordsNoUse,
    /// The only passkey of an account without a password can be taken away.
    TakesTheLastWayIn,
    /// The passkeys of an account are never forgotten.
    ForgetsNoPasskeys,
    /// An answered challenge can be answered again.
    AnswersAChallengeTwice,
    /// A challenge can be answered one tick too long.
    AnswersAnExpiredChallenge,
    /// Reports a deadlock instead of trying again.
    ReportsADeadlock,
}
