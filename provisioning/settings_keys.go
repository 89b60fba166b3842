package provisioning

import (
	"slices"
	"time"
)

// SettingsKey describes one key of a settings document: what checks, schema and documentation share.
type SettingsKey struct {
	Path     string   // from the top, as deletion.users.deleted; [] stands for any element of a list
	Doc      string   // one sentence or more
	Choices  []string // the only values; nil for any
	Optional bool     // an empty string or 0 means that nothing was chosen, whatever Choices, Min and Max say
	Min, Max int64    // of a number; of a period in nanoseconds; of a list in elements; both 0 for no bounds
}

// SettingsKeys are all keys of a settings document, each before those below it, in the order of Settings.
func SettingsKeys() []SettingsKey { return slices.Clone(settingsKeys) }

func choices[T ~string](all ...T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = string(one)
	}
	return out
}

var (
	userPolicies  = choices(SuspendPolicy, DeletePolicy, HoldPolicy, IgnorePolicy)
	groupPolicies = choices(DeletePolicy, RemoveMembersPolicy, HoldPolicy, IgnorePolicy)
)

// Bounds of what a person can mean.
const (
	maxTolerated = 1_000_000
	maxList      = 2000
	maxRows      = 200  // each costs every write
	maxMapped    = 1024 // of an indexed attribute
	minWindow    = 10 * Period(time.Minute)
	maxWindow    = 90 * day
	minAgeing    = day
	maxRoleName  = 64
	maxComment   = 1024
	maxDomainLen = 253
	maxURL       = 2048

	minImpactTimeout     = Period(time.Second)
	maxImpactTimeout     = 30 * Period(time.Second)
	defaultImpactTimeout = 10 * Period(time.Second)
)

var settingsKeys = slices.Concat([]SettingsKey{
	{Path: "preset", Optional: true, Choices: choices(Presets()[1:]...),
		Doc: "A whole of choices under one word, from which the rest of the document departs. Left out: the default."},

	{Path: "protocol", Doc: "How the client is answered."},
	{Path: "protocol.patchResponse", Choices: choices(PatchDefault, PatchResource, PatchNone),
		Doc: "What a PATCH answers: default (user 200 with the resource, group 204), resource (always 200) or none (always 204)."},
	{Path: "protocol.unknownMembers", Choices: choices(RefuseUnknownMembers, KeepUnknownMembers),
		Doc: "What becomes of member ids that were never issued."},
	{Path: "protocol.uniqueGroupNames", Doc: "Whether no two visible groups have the same displayName."},
	{Path: "protocol.paused", Doc: "Whether the client is told to come back later: 503 with Retry-After to each request, nothing done and nothing journalled."},

	{Path: "matching", Doc: "Which existing account an assertion means."},
	{Path: "matching.stableKey",
		Doc: "Path of the attribute that survives a rename; empty for none. externalId counts in the form of a GUID alone, any other attribute in any form."},
	{Path: "matching.attributes", Max: maxList,
		Doc: "What accounts of other owners are looked for by, in order of precedence. An empty list looks for none."},
	{Path: "matching.attributes[]", Choices: []string{"userName", "emails"}, Doc: "A matching attribute."},
	{Path: "matching.adoption", Choices: choices(AdoptionAdopt, AdoptionAsk, AdoptionRefuse),
		Doc: "What becomes of an assertion that means an account which the connection does not own. adopt asks about privileged accounts and unverified domains."},
	{Path: "matching.verifiedDomains", Max: maxList, Doc: "Domains whose addresses prove who somebody is; adopt takes over nobody by another's."},
	{Path: "matching.verifiedDomains[]", Doc: "A domain, as example.com; domains below it are others."},

	{Path: "scope", Doc: "Whom the connection manages. What is out of scope is stored and echoed, and not effective."},
	{Path: "scope.users", Doc: "Users in scope: those who satisfy all that is said here."},
	{Path: "scope.users.filter", Doc: "A SCIM filter (RFC 7644 §3.4.2.2) over asserted attributes."},
	{Path: "scope.users.domains", Max: maxList, Doc: "Domains, one of which ends the userName."},
	{Path: "scope.users.domains[]", Doc: "A domain, as example.com; domains below it are others."},
	{Path: "scope.users.groups", Max: maxList, Doc: "Groups of the connection, one of which must list the user."},
	{Path: "scope.users.groups[]", Doc: "The id or displayName of a group."},
	{Path: "scope.groups", Doc: "Groups in scope."},
	{Path: "scope.groups.filter", Doc: "A SCIM filter (RFC 7644 §3.4.2.2) over asserted attributes."},

	{Path: "mapping", Doc: "How effective attributes follow from asserted ones. What no row names is as asserted."},
	{Path: "mapping.userName", Doc: "The userName that the host application sees."},
	{Path: "mapping.userName.mode", Choices: choices(FullUserName, LocalUserName),
		Doc: "How much of the asserted userName is effective: all of it, or what comes before the @."},
	{Path: "mapping.userName.frozen", Doc: "Whether the effective userName of the creation stays, so that later renames change the echo alone."},
	{Path: "mapping.users", Max: maxRows, Doc: "Rows that assign attributes of users."},
}, mappingKeys("mapping.users[]."), []SettingsKey{
	{Path: "mapping.groups", Max: maxRows, Doc: "Rows that assign attributes of groups."},
}, mappingKeys("mapping.groups[]."), []SettingsKey{

	{Path: "deletion", Doc: "What each cause of a departure does."},
	{Path: "deletion.users", Doc: "The policy of users, by cause."},
	{Path: "deletion.users.deactivated", Choices: userPolicies, Doc: "The client sets active to false."},
	{Path: "deletion.users.deleted", Choices: userPolicies, Doc: "The client sends DELETE."},
	{Path: "deletion.users.scope", Choices: userPolicies, Doc: "The user leaves the scope that this document describes."},
	{Path: "deletion.groups", Doc: "The policy of groups, by cause."},
	{Path: "deletion.groups.deleted", Choices: groupPolicies, Doc: "The client sends DELETE."},
	{Path: "deletion.groups.scope", Choices: groupPolicies, Doc: "The group leaves the scope that this document describes."},
	{Path: "deletion.grace", Doc: "How long what was removed can be restored with memberships and role; 0 for not at all."},
	{Path: "deletion.purge", Choices: choices(PurgeAsk, PurgeAuto), Doc: "Who ends the grace time: ask (a person, through an open matter) or auto (a job)."},
	{Path: "deletion.ageing", Doc: "What becomes of those who are suspended for long."},
	{Path: "deletion.ageing.after", Optional: true, Min: int64(minAgeing), Max: int64(maxPeriod), Doc: "How long is long; left out: nothing becomes of them."},
	{Path: "deletion.ageing.do", Optional: true, Choices: choices(DeletePolicy, HoldPolicy), Doc: "What is done then."},

	{Path: "roles", Doc: "Which role a user has."},
	{Path: "roles.default", Doc: "The role of new users."},
	{Path: "roles.names", Max: maxList, Doc: "Roles beside ordinary and admin, which every tenant has."},
	{Path: "roles.names[]", Doc: "The name of a role."},
	{Path: "roles.guarded", Max: maxList, Doc: "Roles beside admin whose holders are privileged: no connection suspends, deletes or adopts them."},
	{Path: "roles.guarded[]", Doc: "The name of a role."},
	{Path: "roles.appRoles", Max: maxList, Doc: "Roles by app role; the first row that holds decides."},
	{Path: "roles.appRoles[].when", Doc: "The value of the app role."},
	{Path: "roles.appRoles[].role", Doc: "The role that its holders have."},
	{Path: "roles.groups", Max: maxList, Doc: "Roles by group; the first row that holds decides."},
	{Path: "roles.groups[].when", Doc: "The id or displayName of the group."},
	{Path: "roles.groups[].role", Doc: "The role that its members have."},
	{Path: "roles.grantGuarded", Doc: "Whether a push may make somebody privileged."},

	{Path: "guard", Doc: "How the departure of those who are never removed is answered."},
	{Path: "guard.mode", Choices: choices(GuardAccept, GuardRefuse),
		Doc: "accept answers as if it were done and withholds the effect; refuse answers 400 and applies nothing of the request."},
	{Path: "guard.users", Max: maxList, Doc: "Users who are protected beside the holders of guarded roles."},
	{Path: "guard.users[]", Doc: "An id or userName."},
	{Path: "guard.groups", Max: maxList, Doc: "Groups that are protected: never deleted or emptied."},
	{Path: "guard.groups[]", Doc: "An id or displayName."},

	{Path: "tolerance", Doc: "How many may go at once. The change that would reach the limit is stopped."},
	{Path: "tolerance.mode", Choices: choices(ToleranceDelay, ToleranceWithhold, ToleranceOff),
		Doc: "What becomes of that change: delay answers 503 for that object, withhold accepts it and holds the effect, off counts nothing."},
	{Path: "tolerance.window", Min: int64(minWindow), Max: int64(maxWindow), Doc: "How far back departures count."},
	{Path: "tolerance.users", Doc: "Users who leave active."},
}, toleranceKeys("tolerance.users."), []SettingsKey{
	{Path: "tolerance.groups", Doc: "Groups that are deleted."},
}, toleranceKeys("tolerance.groups."), []SettingsKey{
	{Path: "tolerance.members", Doc: "Members removed from one group."},
}, toleranceKeys("tolerance.members."), []SettingsKey{
	{Path: "tolerance.members.from", Max: maxTolerated, Doc: "Groups that had fewer members are not counted."},

	{Path: "matters", Doc: "How open matters are handled."},
	{Path: "matters.overdueAfter", Doc: "When an open matter is flagged as overdue; 0 for never."},
	{Path: "matters.secondPerson",
		Doc: "Whether somebody else must confirm what a person allows or links, and whatever gets around guards and tolerance."},
	{Path: "matters.impact", Doc: "Whom to ask what hangs on a user before the policy delete is done; see impact.md."},
	{Path: "matters.impact.url",
		Doc: "Where the host application takes the question, https:// or on this machine http://; while it has not answered, the deletion is held. Left out: nobody is asked."},
	{Path: "matters.impact.timeout", Optional: true, Min: int64(minImpactTimeout), Max: int64(maxImpactTimeout),
		Doc: "How long it has for an answer; left out: 10s."},
})

func mappingKeys(prefix string) []SettingsKey {
	return []SettingsKey{
		{Path: prefix + "target", Doc: "Path of the attribute that the row assigns, as in a SCIM filter."},
		{Path: prefix + "source", Doc: "Path of the asserted attribute that it is taken from, extensions included."},
		{Path: prefix + "constant", Doc: "The value itself."},
		{Path: prefix + "expression", Doc: "What computes it. A row with none of source, constant and expression unassigns the attribute."},
		{Path: prefix + "apply", Optional: true, Choices: choices("always", ApplyAtCreation),
			Doc: "When the row applies: always, or at creation alone, so that later changes leave the attribute as it is."},
		{Path: prefix + "default", Doc: "The value where source or expression come out empty."},
		{Path: prefix + "required", Doc: "Whether the request is refused where the row comes out empty."},
		{Path: prefix + "unique", Doc: "Whether no two accounts of the tenant have it; userName alone can be, and is."},
		{Path: prefix + "maxLength", Max: maxMapped, Doc: "The most characters that it may have; 0 for no limit of its own."},
		{Path: prefix + "characters", Doc: "A regular expression (RE2) that the whole value satisfies."},
	}
}

func toleranceKeys(prefix string) []SettingsKey {
	return []SettingsKey{
		{Path: prefix + "share", Max: 100, Doc: "Per cent of what there was when the window began."},
		{Path: prefix + "count", Max: maxTolerated, Doc: "A number that counts where it is smaller than the share; 0 for none."},
		{Path: prefix + "floor", Max: maxTolerated, Doc: "The limit is never below this number."},
	}
}
