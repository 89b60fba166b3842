package drill

// fault is the stable name of one way to fail Entra ID. Programs and tests may depend on it; the words beside it are for people.
type fault string

const (
	transportFailed  fault = "transport.failed"
	transportTimeout fault = "transport.timeout"
	serverError      fault = "server.error"

	authTokenRefused  fault = "auth.token-refused"
	authWrongAccepted fault = "auth.wrong-token-accepted"
	authNoChallenge   fault = "auth.challenge-missing"

	throttleNoRetryAfter fault = "throttle.retry-after-missing"
	throttleEndless      fault = "throttle.endless"

	answerContentType fault = "answer.content-type"
	answerUnparsable  fault = "answer.unparsable"
	errorNotSCIM      fault = "error.not-scim"
	errorStatusType   fault = "error.status-not-string"
	errorStatusOther  fault = "error.status-differs"
	preconditionAsked fault = "precondition.required"

	correlationMissing  fault = "correlation.missing"
	correlationRepeated fault = "correlation.repeated"

	discoveryConfig        fault = "discovery.service-provider-config"
	discoverySchemas       fault = "discovery.schemas"
	discoveryResourceTypes fault = "discovery.resource-types"

	searchEmptyStatus    fault = "search.empty-not-200"
	searchStatus         fault = "search.status"
	searchIgnored        fault = "search.filter-ignored"
	searchSeveral        fault = "search.several-matches"
	searchMissed         fault = "search.object-not-found"
	searchWrong          fault = "search.wrong-object"
	searchUserNameCase   fault = "search.username-case"
	searchExternalIDCase fault = "search.externalid-case"
	searchReference      fault = "search.reference"

	listShape        fault = "list.not-a-listresponse"
	listTotal        fault = "list.total-results"
	listItemsPerPage fault = "list.items-per-page"
	listStartIndex   fault = "list.start-index"
	listOrder        fault = "list.unstable-order"
	listGap          fault = "list.gap"
	listDuplicate    fault = "list.duplicate"

	createStatus     fault = "create.status"
	createNoID       fault = "create.id-missing"
	createMeta       fault = "create.meta"
	createSchemas    fault = "create.schemas"
	locationMissing  fault = "location.missing"
	locationRelative fault = "location.relative"
	locationDiffers  fault = "location.differs"

	duplicateAccepted fault = "duplicate.accepted"
	duplicateStatus   fault = "duplicate.status"
	duplicateScimType fault = "duplicate.scimtype"

	readStatus fault = "read.status"
	readGone   fault = "read.known-object-gone"
	idChanged  fault = "id.changed"

	echoMissing       fault = "echo.missing"
	echoCase          fault = "echo.case"
	echoTrimmed       fault = "echo.trimmed"
	echoChanged       fault = "echo.changed"
	echoType          fault = "echo.type"
	echoBoolString    fault = "echo.boolean-as-string"
	echoManagerString fault = "echo.manager-as-string"
	echoUnexpected    fault = "echo.not-cleared"

	patchStatus     fault = "patch.status"
	patchNotApplied fault = "patch.not-applied"
	patchNeeded     fault = "cycle.patch-needed"
	renameOldFound  fault = "rename.old-name-found"
	roleNotStored   fault = "roles.not-stored"

	disableHidden      fault = "disable.hidden"
	disableMembersLost fault = "disable.members-lost"
	restoreMembersLost fault = "restore.members-lost"
	restoreOtherID     fault = "restore.other-id"

	deleteStatus      fault = "delete.status"
	deleteReadable    fault = "delete.still-readable"
	deleteFound       fault = "delete.still-found"
	deleteListed      fault = "delete.still-listed"
	deleteRepeated    fault = "delete.repeated-accepted"
	deleteNameTaken   fault = "delete.name-taken"
	deleteStillMember fault = "delete.still-member"
	deleteIDReused    fault = "delete.id-reused"

	groupMembersShown   fault = "group.members-not-excluded"
	groupMembersTouched fault = "group.replace-touched-members"

	memberLost         fault = "member.lost"
	memberExtra        fault = "member.extra"
	memberDuplicate    fault = "member.duplicate"
	memberGroupEmptied fault = "member.group-emptied"
	memberAddPresent   fault = "member.add-present-refused"
	memberRemoveAbsent fault = "member.remove-absent-refused"
	memberReplace      fault = "member.replace-wrong"

	delayNoRetryAfter fault = "delay.retry-after-missing"
	delayApplied      fault = "delay.applied"
	delayStopsOthers  fault = "delay.stops-others"
	delayEndless      fault = "delay.endless"
	toleranceExceeded fault = "tolerance.exceeded"
	toleranceEarly    fault = "tolerance.early"

	restartCreate fault = "restart.create-needed"
	restartPatch  fault = "restart.patch-needed"
	inherited     fault = "create.inherited"

	hostState   fault = "host.state"
	hostRole    fault = "host.role"
	hostName    fault = "host.user-name"
	hostMembers fault = "host.memberships"
	hostUnknown fault = "host.unknown"
)

// meaning says in one line what Entra ID does when it meets the fault.
var meaning = map[fault]string{
	transportFailed:  "the request got no answer; Entra tries again in about 40 minutes",
	transportTimeout: "the answer came too late; Entra tries again in about 40 minutes",
	serverError:      "a 5xx puts the object into escrow; many put the job into quarantine",

	authTokenRefused:  "the right token is refused: the job goes into quarantine at once",
	authWrongAccepted: "a wrong token must be answered 401",
	authNoChallenge:   "a 401 must carry WWW-Authenticate (RFC 9110 section 11.6.1)",

	throttleNoRetryAfter: "a 429 without a usable Retry-After leaves Entra guessing when to come back",
	throttleEndless:      "a request was throttled again and again although every Retry-After was obeyed",

	answerContentType: "every answer, errors too, must be application/scim+json",
	answerUnparsable:  "Entra logs SystemForCrossDomainIdentityManagementServiceIncompatible",
	errorNotSCIM:      "an error must be a SCIM Error message (RFC 7644 section 3.12)",
	errorStatusType:   "the status of a SCIM error is a JSON string",
	errorStatusOther:  "the status in a SCIM error must equal the HTTP status",
	preconditionAsked: "Entra never sends If-Match: every update would fail",

	correlationMissing:  "a write was answered without X-Correlation-Id, so it cannot be matched with the journal",
	correlationRepeated: "two answers carry the same correlation id",

	discoveryConfig:        "ServiceProviderConfig must announce patch and filter",
	discoverySchemas:       "every mapped attribute must be discoverable in Schemas",
	discoveryResourceTypes: "ResourceTypes must name Users and Groups",

	searchEmptyStatus:    "an empty search must be 200 with totalResults 0; a 404 puts the job into quarantine at once",
	searchStatus:         "the search failed: the object is not provisioned",
	searchIgnored:        "the filter was ignored: Entra would link to a stranger or report DuplicateTargetEntries",
	searchSeveral:        "more than one match: DuplicateTargetEntries",
	searchMissed:         "an existing object was not found: Entra would create it a second time",
	searchWrong:          "the search answered another object: Entra would overwrite a stranger",
	searchUserNameCase:   "userName compares without case (RFC 7643 section 4.1.1)",
	searchExternalIDCase: "externalId compares with case (RFC 7643 section 3.1)",
	searchReference:      "the reference check (id and manager or members) did not answer as documented",

	listShape:        "a list must be a ListResponse (RFC 7644 section 3.4.2)",
	listTotal:        "totalResults must be the number of all matches",
	listItemsPerPage: "itemsPerPage must be the number of resources in the page",
	listStartIndex:   "startIndex is 1-based and is echoed",
	listOrder:        "two walks must see the same order, or discovery misses accounts",
	listGap:          "a walk over the pages missed an object that exists",
	listDuplicate:    "a walk over the pages saw an object twice",

	createStatus:     "a create must be answered 201",
	createNoID:       "without an id Entra cannot link the object",
	createMeta:       "meta must carry resourceType, created and lastModified",
	createSchemas:    "schemas must name the schema of the resource (RFC 7643 section 3)",
	locationMissing:  "a 201 must carry Location and meta.location (RFC 7644 section 3.3)",
	locationRelative: "Location must be an absolute URI",
	locationDiffers:  "Location, meta.location and the resource's address must agree",

	duplicateAccepted: "a second object of the same name was created",
	duplicateStatus:   "a duplicate must be answered 409",
	duplicateScimType: "a 409 must carry scimType uniqueness",

	readStatus: "a known object could not be read",
	readGone:   "a known object answers 404: the link is stale (InvalidAnchor)",
	idChanged:  "the id of an object must never change",

	echoMissing:       "an attribute was not read back: Entra sends it again in every cycle",
	echoCase:          "a value came back in another case: Entra sends it again in every cycle",
	echoTrimmed:       "a value came back trimmed: Entra sends it again in every cycle",
	echoChanged:       "a value came back changed: Entra sends it again in every cycle",
	echoType:          "a value came back as another JSON type",
	echoBoolString:    "a boolean came back as a string: Entra cannot parse it",
	echoManagerString: "manager must be read back as an object",
	echoUnexpected:    "a cleared attribute is still there",

	patchStatus:     "a PATCH must be answered 200 or 204",
	patchNotApplied: "a PATCH was acknowledged but not applied",
	patchNeeded:     "a cycle without changes sent a PATCH",
	renameOldFound:  "after a rename the old userName still finds the user",
	roleNotStored:   "a role assignment was acknowledged but cannot be read back",

	disableHidden:      "a disabled user must still be found by id and by filter",
	disableMembersLost: "a disabled user must keep the memberships: Entra does not replay them",
	restoreMembersLost: "a restored user must have the memberships: Entra does not replay them",
	restoreOtherID:     "a user created again with the same externalId must get the former id",

	deleteStatus:      "a DELETE must be answered 204",
	deleteReadable:    "a deleted object must answer 404",
	deleteFound:       "a deleted object must not be found",
	deleteListed:      "a deleted object must not be listed",
	deleteRepeated:    "a second DELETE must be answered 404",
	deleteNameTaken:   "after a DELETE the name must be free again",
	deleteStillMember: "a deleted user must not be listed as a member",
	deleteIDReused:    "a new person must not inherit the id of a leaver with the same userName",

	groupMembersShown:   "excludedAttributes=members must be honoured",
	groupMembersTouched: "a replace of another attribute must not touch members",

	memberLost:         "a member is missing",
	memberExtra:        "a member is there that was not added or was removed",
	memberDuplicate:    "a member is listed twice",
	memberGroupEmptied: "removing some members emptied the group",
	memberAddPresent:   "adding a present member must succeed",
	memberRemoveAbsent: "removing an absent member must succeed",
	memberReplace:      "replacing members must leave exactly the new set",

	delayNoRetryAfter: "a 503 without Retry-After leaves Entra guessing when to come back",
	delayApplied:      "a departure was put off, and yet something of the request shows",
	delayStopsOthers:  "a tolerance that is used up may stop departures alone: creates, updates and memberships go on",
	delayEndless:      "a person decided, and the client is still told to come again: the object stays in escrow",
	toleranceExceeded: "more users left than the deletion tolerance lets go",
	toleranceEarly:    "departures were put off before the deletion tolerance was used up",

	restartCreate: "after a restart a known object was not found by its matching attribute: Entra would create it again",
	restartPatch:  "after a restart Entra would send a PATCH although nothing changed",
	inherited:     "somebody new was given what belonged to a leaver of the same userName",

	hostState:   "the host application sees another state than the rules lead to",
	hostRole:    "the host application sees another role than was given",
	hostName:    "the host application sees another userName than the rules lead to",
	hostMembers: "the host application sees other memberships than the directory has",
	hostUnknown: "the host application does not find an account that must be there",
}
