package drill

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// planted is one thing wrong with an otherwise right server.
type planted struct {
	what    string
	want    fault   // the drill must name it
	also    []fault // and these, which follow from it; it may name nothing else
	plant   plant
	dialect Dialect
	options func(*Options)
	play    Scenario // instead of a whole job
	preset  Preset
}

// onAnswer changes the answers to a method, of a kind and with a status; "" and 0 stand for any.
func onAnswer(method, kind string, status int, fn func(q *call, r *reply)) plant {
	return plant{after: func(_ *fakeServer, q *call, r *reply) {
		if (method == "" || q.Method == method) && (kind == "" || q.kind == kind) && (status == 0 || r.status == status) {
			fn(q, r)
		}
	}}
}

// onList changes the answers to searches and pages.
func onList(fn func(q *call, body map[string]any)) plant {
	return onAnswer(http.MethodGet, "", http.StatusOK, func(q *call, r *reply) {
		if body := r.body.(map[string]any); body["Resources"] != nil && (q.kind == "Users" || q.kind == "Groups") {
			fn(q, body)
		}
	})
}

// onUsers changes every user in an answer.
func onUsers(fn func(res map[string]any)) plant {
	return onAnswer("", "Users", 0, func(_ *call, r *reply) {
		body, _ := r.body.(map[string]any)
		if r.status >= 300 || body == nil {
			return
		}
		list, isList := body["Resources"].([]any)
		if !isList {
			list = []any{body}
		}
		for _, res := range list {
			fn(res.(map[string]any))
		}
	})
}

// onError changes the bodies of errors.
func onError(fn func(body map[string]any)) plant {
	return onAnswer("", "", 0, func(_ *call, r *reply) {
		if r.status >= 400 {
			fn(r.body.(map[string]any))
		}
	})
}

// everyNth answers one request in n by itself.
func everyNth(n int, fn func() *reply) plant {
	count := 0
	return plant{before: func(*http.Request) *reply {
		if count++; count%n != 0 {
			return nil
		}
		return fn()
	}}
}

func mapString(res map[string]any, key string, fn func(string) string) {
	if v, ok := res[key].(string); ok {
		res[key] = fn(v)
	}
}

// instead puts another status and body in place; the headers stay.
func instead(r, other *reply) { r.status, r.body = other.status, other.body }

func meta(r *reply) map[string]any {
	m, _ := r.body.(map[string]any)["meta"].(map[string]any)
	return m
}

var plantedFaults = []planted{
	// Creating
	{what: "create answered 200", want: createStatus,
		plant: onAnswer("POST", "", 201, func(_ *call, r *reply) { r.status = 200 })},
	{what: "create answered without an id", want: createNoID,
		also:  []fault{listTotal},
		plant: onAnswer("POST", "", 201, func(_ *call, r *reply) { delete(r.body.(map[string]any), "id") })},
	{what: "create answered without meta.created", want: createMeta,
		plant: onAnswer("POST", "", 201, func(_ *call, r *reply) { delete(meta(r), "created") })},
	{what: "create answered without the core schema", want: createSchemas,
		plant: onAnswer("POST", "", 201, func(_ *call, r *reply) { r.body.(map[string]any)["schemas"] = []any{enterpriseUser} })},
	{what: "Location and meta.location differ", want: locationDiffers,
		plant: onAnswer("POST", "", 201, func(_ *call, r *reply) { r.header.Set("Location", r.header.Get("Location")+"/") })},
	{what: "meta.location relative when read", want: locationRelative,
		plant: onAnswer("GET", "Groups", 200, func(q *call, r *reply) {
			if q.id != "" {
				meta(r)["location"] = "/Groups/" + q.id
			}
		})},
	{what: "Location missing", want: locationMissing,
		plant: onAnswer("POST", "", 201, func(_ *call, r *reply) { r.header.Del("Location") })},
	{what: "Location relative", want: locationRelative,
		plant: onAnswer("POST", "", 201, func(_ *call, r *reply) {
			r.header.Set("Location", strings.TrimPrefix(r.header.Get("Location"), "http://fake.example"))
		})},
	{what: "meta.location names another host", want: locationDiffers,
		plant: onAnswer("POST", "", 201, func(_ *call, r *reply) {
			mapString(meta(r), "location", func(s string) string { return strings.Replace(s, "fake.example", "10.0.0.7", 1) })
		})},
	{what: "duplicate create answered 201", want: duplicateAccepted, plant: plant{allowTwins: true}},
	{what: "duplicate create answered 400", want: duplicateStatus,
		plant: onAnswer("POST", "", 409, func(_ *call, r *reply) { instead(r, fail(400, "invalidValue", "taken")) })},
	{what: "duplicate create without scimType", want: duplicateScimType,
		plant: onAnswer("POST", "", 409, func(_ *call, r *reply) { delete(r.body.(map[string]any), "scimType") })},

	// Searching
	{what: "404 for an empty search", want: searchEmptyStatus,
		plant: plant{after: func(_ *fakeServer, q *call, r *reply) {
			if body, _ := r.body.(map[string]any); q.query.Has("filter") && body["totalResults"] == 0 {
				instead(r, fail(http.StatusNotFound, "", "nothing found"))
			}
		}}},
	{what: "400 for externalId searches", want: searchStatus,
		plant: onAnswer("GET", "", 200, func(q *call, r *reply) {
			if strings.Contains(q.query.Get("filter"), "externalId") {
				instead(r, fail(http.StatusBadRequest, "invalidFilter", "not supported"))
			}
		})},
	{what: "filter ignored", want: searchIgnored, also: []fault{renameOldFound}, plant: plant{ignoreFilter: true}},
	{what: "a match listed twice", want: searchSeveral, also: []fault{searchReference},
		plant: onList(func(q *call, body map[string]any) {
			if list := body["Resources"].([]any); q.query.Has("filter") && len(list) == 1 {
				body["Resources"] = append(list, list[0])
			}
		})},
	{what: "mail search misses", want: searchMissed,
		plant: onList(func(q *call, body map[string]any) {
			if strings.HasPrefix(q.query.Get("filter"), "emails[") {
				body["Resources"], body["totalResults"] = []any{}, 0
			}
		})},
	{what: "mail search answers somebody else", want: searchWrong,
		plant: onList(func(q *call, body map[string]any) {
			if list := body["Resources"].([]any); strings.HasPrefix(q.query.Get("filter"), "emails[") && len(list) == 1 {
				list[0].(map[string]any)["id"] = "somebody-else"
			}
		})},
	{what: "userName searched with case", want: searchUserNameCase,
		plant: plant{match: func(attr, want, got string) (bool, bool) { return want == got, attr == "userName" }}},
	{what: "externalId searched without case", want: searchExternalIDCase,
		plant: plant{match: func(attr, want, got string) (bool, bool) { return strings.EqualFold(want, got), attr == "externalId" }}},
	{what: "reference check unknown", want: searchReference,
		plant: onList(func(q *call, body map[string]any) {
			if strings.Contains(q.query.Get("filter"), `" and `) {
				body["Resources"], body["totalResults"] = []any{}, 0
			}
		})},

	// Listing
	{what: "list without schemas", want: listShape,
		plant: onList(func(_ *call, body map[string]any) { delete(body, "schemas") })},
	{what: "total wrong", want: listTotal,
		plant: onList(func(q *call, body map[string]any) {
			if !q.query.Has("filter") && body["totalResults"].(int) > 3 {
				body["totalResults"] = body["totalResults"].(int) + 1
			}
		})},
	{what: "total is the page's", want: listTotal,
		plant: onList(func(_ *call, body map[string]any) { body["totalResults"] = len(body["Resources"].([]any)) })},
	{what: "itemsPerPage is the limit", want: listItemsPerPage,
		plant: onList(func(_ *call, body map[string]any) { body["itemsPerPage"] = 100 })},
	{what: "startIndex from zero", want: listStartIndex,
		plant: onList(func(_ *call, body map[string]any) { body["startIndex"] = body["startIndex"].(int) - 1 })},
	{what: "unstable order", want: listOrder,
		plant: plant{list: func(q url.Values, all []*record) []*record {
			if n, _ := strconv.Atoi(q.Get("count")); n%2 == 1 {
				slices.Reverse(all)
			}
			return all
		}}},
	{what: "pages leave one out", want: listGap, also: []fault{listTotal, listOrder},
		plant: plant{list: func(q url.Values, all []*record) []*record {
			if n, _ := strconv.Atoi(q.Get("startIndex")); n > 1 && n <= len(all) {
				return slices.Delete(slices.Clone(all), n-1, n)
			}
			return all
		}}},
	{what: "pages overlap", want: listDuplicate, also: []fault{listTotal, listOrder, listGap},
		plant: plant{list: func(q url.Values, all []*record) []*record {
			if n, _ := strconv.Atoi(q.Get("startIndex")); n > 1 && n <= len(all) {
				return slices.Insert(slices.Clone(all), n-1, all[n-2])
			}
			return all
		}}},

	// Reading back
	{what: "userName echoed in lower case", want: echoCase, also: []fault{patchNeeded, patchNotApplied},
		plant: onUsers(func(res map[string]any) { mapString(res, "userName", strings.ToLower) })},
	{what: "title trimmed", want: echoTrimmed, also: []fault{patchNeeded},
		plant: plant{store: func(attrs map[string]any) { mapString(attrs, "title", strings.TrimSpace) }}},
	{what: "phone numbers normalised", want: echoChanged, also: []fault{patchNeeded},
		plant: plant{store: func(attrs map[string]any) {
			if work, ok := find(attrs["phoneNumbers"], "type", "work").(map[string]any); ok {
				mapString(work, "value", func(s string) string { return strings.ReplaceAll(s, " ", "") })
			}
		}}},
	{what: "boolean echoed as a string", want: echoBoolString, also: []fault{patchNeeded},
		plant: onUsers(func(res map[string]any) { res["active"] = fmt.Sprint(res["active"]) })},
	{what: "manager echoed as a string", want: echoManagerString, also: []fault{patchNeeded},
		plant: onUsers(func(res map[string]any) {
			if ext, ok := res[enterpriseUser].(map[string]any); ok && ext["manager"] != nil {
				ext["manager"] = ext["manager"].(map[string]any)["value"]
			}
		})},
	{what: "employeeNumber echoed as a number", want: echoType, also: []fault{patchNeeded},
		plant: onUsers(func(res map[string]any) {
			if ext, ok := res[enterpriseUser].(map[string]any); ok {
				ext["employeeNumber"] = 7
			}
		})},
	{what: "a second cycle with differences", want: patchNeeded, also: []fault{echoTrimmed},
		plant: onAnswer("GET", "Users", 200, func(q *call, r *reply) {
			if q.id != "" {
				mapString(r.body.(map[string]any), "title", strings.TrimSpace)
			}
		})},
	{what: "department dropped", want: echoMissing, also: []fault{patchNeeded},
		plant: plant{store: func(attrs map[string]any) {
			if ext, ok := attrs[enterpriseUser].(map[string]any); ok {
				delete(ext, "department")
			}
		}}},
	{what: "externalId not kept", want: echoMissing, also: []fault{patchNeeded, searchMissed, restoreOtherID},
		plant: plant{store: func(attrs map[string]any) { delete(attrs, "externalId") }}},
	{what: "manager not cleared by an empty string", want: echoUnexpected, also: []fault{patchNeeded}, plant: plant{keepManager: true}},
	{what: "id changes", want: idChanged,
		plant: onAnswer("GET", "Users", 200, func(q *call, r *reply) {
			if q.id != "" {
				mapString(r.body.(map[string]any), "id", strings.ToUpper)
			}
		})},
	{what: "a known user gone", want: readGone,
		plant: onAnswer("GET", "Users", 200, func(q *call, r *reply) {
			if strings.HasSuffix(q.id, "05") {
				instead(r, fail(http.StatusNotFound, "", "no such resource"))
			}
		})},
	{what: "a known group not readable", want: readStatus,
		plant: onAnswer("GET", "Groups", 200, func(q *call, r *reply) {
			if q.id != "" {
				instead(r, fail(http.StatusMethodNotAllowed, "", "not here"))
			}
		})},

	// Updating
	{what: "PATCH acknowledged, not applied", want: patchNotApplied, plant: plant{ignorePatch: true},
		also: unapplied},
	{what: "PATCH acknowledged, not applied, other dialect", dialect: Flag, want: patchNotApplied, plant: plant{ignorePatch: true},
		also: unapplied},
	{what: "PATCH refused without a path", dialect: Flag, want: patchStatus, plant: plant{before: func(r *http.Request) *reply {
		if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/Groups/") {
			return fail(http.StatusBadRequest, "invalidPath", "a path is needed")
		}
		return nil
	}}, also: []fault{memberAddPresent, memberLost, memberGroupEmptied, deleteReadable}},
	{what: "If-Match demanded", want: preconditionAsked, plant: plant{before: func(r *http.Request) *reply {
		if r.Method == http.MethodPatch && r.Header.Get("If-Match") == "" {
			return fail(http.StatusPreconditionRequired, "", "If-Match is needed")
		}
		return nil
	}}, also: []fault{echoMissing, memberLost, memberGroupEmptied}},
	{what: "old userName still finds", want: renameOldFound, plant: plant{oldNames: true}},
	{what: "only the first role kept", want: roleNotStored, plant: plant{store: func(attrs map[string]any) {
		if list, _ := attrs["roles"].([]any); len(list) > 1 {
			attrs["roles"] = list[:1]
		}
	}}},

	// Disabling and deleting
	{what: "disabled user hidden from searches", want: disableHidden, plant: plant{hideDisabled: true},
		also: []fault{listGap, listTotal}},
	{what: "disabled user hidden by id", want: disableHidden, also: []fault{readGone},
		plant: onAnswer("GET", "Users", 200, func(q *call, r *reply) {
			if q.id != "" && r.body.(map[string]any)["active"] == false {
				instead(r, fail(http.StatusNotFound, "", "no such resource"))
			}
		})},
	{what: "memberships dropped on disable", want: disableMembersLost, plant: plant{dropOnDisable: true},
		also: []fault{restoreMembersLost, memberLost, memberGroupEmptied}},
	{what: "memberships dropped on enable", want: restoreMembersLost, plant: plant{dropOnEnable: true},
		also: []fault{memberLost, memberGroupEmptied}},
	{what: "DELETE answered 200", want: deleteStatus,
		plant: onAnswer("DELETE", "", 204, func(_ *call, r *reply) { r.status = http.StatusOK })},
	{what: "DELETE answered 204, still readable", want: deleteReadable, plant: plant{keepDeleted: true},
		also: []fault{deleteFound, deleteListed, listTotal, listDuplicate}},
	{what: "DELETE answered 204, still in lists", want: deleteListed, plant: plant{listDeleted: true}},
	{what: "DELETE answered 204, still found", want: deleteFound,
		plant: plant{list: nil, after: func(s *fakeServer, q *call, r *reply) {
			if !q.query.Has("filter") || r.status != http.StatusOK {
				return
			}
			for _, rec := range *s.table(q.kind) {
				if body := r.body.(map[string]any); rec.gone && s.selects(q.query.Get("filter"), rec) {
					body["Resources"], body["totalResults"] = []any{map[string]any{"id": rec.id}}, 1
				}
			}
		}}},
	{what: "second DELETE answered 204", want: deleteRepeated,
		plant: onAnswer("DELETE", "", 404, func(_ *call, r *reply) { *r = reply{status: http.StatusNoContent, header: r.header} })},
	{what: "userName taken after DELETE", want: deleteNameTaken, plant: plant{nameStaysTaken: true}},
	{what: "created again under another id", want: restoreOtherID, plant: plant{freshIDOnRestore: true}},
	{what: "a leaver's id given to a namesake", want: deleteIDReused, also: []fault{deleteStillMember}, plant: plant{inheritID: true}},
	{what: "deleted user still a member", want: deleteStillMember, plant: plant{showDeletedMembers: true}},

	// Groups
	{what: "members shown although excluded", want: groupMembersShown, plant: plant{ignoreExclude: true}},
	{what: "replace of another attribute empties the group", want: groupMembersTouched, plant: plant{wipeOnReplace: true}, also: []fault{memberGroupEmptied}},
	{what: "replace without a path empties the group", dialect: Flag, want: groupMembersTouched, plant: plant{wipeOnReplace: true}, also: []fault{memberGroupEmptied}},
	{what: "last member of a batch lost", want: memberLost,
		plant: plant{addTo: func(g *record, ids []string) []string { return without(ids, g.members...)[:max(len(ids)-1, 1)] }}},
	{what: "removal ignored", want: memberExtra, plant: plant{members: func(_ *record, op string, _ []string) *reply {
		if op == "remove" {
			return &reply{status: http.StatusNoContent}
		}
		return nil
	}}},
	{what: "removal by value path ignored", dialect: Flag, want: memberExtra, plant: plant{members: func(_ *record, op string, _ []string) *reply {
		if op == "remove" {
			return &reply{status: http.StatusNoContent}
		}
		return nil
	}}},
	{what: "adding a present member refused", want: memberAddPresent, also: []fault{memberLost}, plant: plant{members: func(g *record, op string, ids []string) *reply {
		if op == "add" && len(without(ids, g.members...)) < len(ids) {
			return fail(http.StatusConflict, "uniqueness", "is a member already")
		}
		return nil
	}}},
	{what: "removing an absent member refused", want: memberRemoveAbsent, plant: plant{members: func(g *record, op string, ids []string) *reply {
		if op == "remove" && len(without(ids, g.members...)) > 0 {
			return fail(http.StatusNotFound, "noTarget", "is no member")
		}
		return nil
	}}},
	{what: "member listed twice", want: memberDuplicate,
		plant: plant{addTo: func(_ *record, ids []string) []string { return ids }}},
	{what: "Remove with values empties the group", want: memberGroupEmptied, plant: plant{emptyOnRemove: true}, also: []fault{memberLost}},
	{what: "replace only adds", want: memberReplace, plant: plant{replaceAdds: true}, also: []fault{memberExtra}},

	// What every answer must be
	{what: "error body is plain", want: errorNotSCIM,
		plant: onError(func(body map[string]any) { clear(body); body["error"] = "no" }), also: []fault{duplicateScimType}},
	{what: "status of an error is a number", want: errorStatusType,
		plant: onError(func(body map[string]any) { body["status"], _ = strconv.Atoi(body["status"].(string)) })},
	{what: "status of an error differs", want: errorStatusOther,
		plant: onError(func(body map[string]any) { body["status"] = "400" })},
	{what: "wrong content type", want: answerContentType,
		plant: onAnswer("", "", 0, func(_ *call, r *reply) { r.header.Set("Content-Type", "application/json") })},
	{what: "wrong content type on errors alone", want: answerContentType,
		plant: onAnswer("", "", 404, func(_ *call, r *reply) { r.header.Set("Content-Type", "text/html") })},
	{what: "answer cut off", want: answerUnparsable,
		plant: onAnswer("GET", "Groups", 200, func(q *call, r *reply) {
			if q.id != "" {
				r.raw = []byte(`{"id":`)
			}
		})},
	{what: "no correlation id", want: correlationMissing,
		plant: onAnswer("POST", "", 0, func(_ *call, r *reply) { r.header.Del("X-Correlation-Id") })},
	{what: "correlation id not its own", want: correlationRepeated,
		plant: onAnswer("", "", 0, func(_ *call, r *reply) { r.header.Set("X-Correlation-Id", "00000000-0000-4000-8000-000000000000") })},
	{what: "now and then a 500", want: serverError, also: collateral, plant: everyNth(50, func() *reply {
		return fail(http.StatusInternalServerError, "", "see the log")
	})},
	{what: "429 without Retry-After", want: throttleNoRetryAfter, plant: everyNth(20, func() *reply {
		return fail(http.StatusTooManyRequests, "", "slow down")
	})},
	{what: "429 for ever", want: throttleEndless, plant: plant{before: func(r *http.Request) *reply {
		if !strings.HasSuffix(r.URL.Path, "/Schemas") {
			return nil
		}
		re := fail(http.StatusTooManyRequests, "", "slow down")
		re.header = http.Header{"Retry-After": {"1"}}
		return re
	}}},

	// Authentication and discovery
	{what: "wrong token accepted", want: authWrongAccepted, plant: plant{anyToken: true}},
	{what: "401 without a challenge", want: authNoChallenge,
		plant: onAnswer("", "", 401, func(_ *call, r *reply) { r.header.Del("WWW-Authenticate") })},
	{what: "right token refused", want: authTokenRefused, options: func(o *Options) { o.Token = "another" }},
	{what: "PATCH not announced", want: discoveryConfig,
		plant: onAnswer("", "ServiceProviderConfig", 0, func(_ *call, r *reply) { delete(r.body.(map[string]any), "patch") })},
	{what: "no Schemas", want: discoverySchemas,
		plant: onAnswer("", "Schemas", 200, func(_ *call, r *reply) { instead(r, fail(http.StatusNotFound, "", "no such endpoint")) })},
	{what: "no ResourceTypes", want: discoveryResourceTypes,
		plant: onAnswer("", "ResourceTypes", 200, func(_ *call, r *reply) { instead(r, fail(http.StatusNotFound, "", "no such endpoint")) })},

	// Scenarios
	{what: "put off without Retry-After", want: delayNoRetryAfter, play: MassDisable,
		plant: onAnswer("PATCH", "", 503, func(_ *call, r *reply) { r.header.Del("Retry-After") })},
	{what: "put off and done", want: delayApplied, play: MassDisable, plant: plant{applyDelayed: true},
		also: []fault{echoChanged, patchNeeded}},
	{what: "everything put off", want: delayStopsOthers, play: MassDisable, plant: plant{stopsOthers: true},
		also: []fault{delayApplied, echoChanged, echoMissing, patchNeeded, memberLost, hostMembers, serverError}},
	{what: "deaf to the person who allows", want: delayEndless, play: MassDisable, plant: plant{deafToThem: true}},
	{what: "deaf to the person who rejects", want: delayEndless, play: MassDisableRejected, plant: plant{deafToThem: true}},
	{what: "tolerance too wide", want: toleranceExceeded, play: MassDisable, plant: plant{share: 30}},
	{what: "tolerance too narrow", want: toleranceEarly, play: MassDisable, preset: Mirror, plant: plant{share: 18}, also: []fault{toleranceExceeded}},
	{what: "search misses after a restart", want: restartCreate, play: Restart, plant: plant{list: lateMisses()}, also: []fault{searchMissed}},
	{what: "changed after a restart", want: restartPatch, play: Restart, plant: lateChange(), also: []fault{echoChanged, patchNeeded}},
	{what: "heir is shown groups", want: inherited, play: RecycledUserName, plant: onUsers(func(res map[string]any) { res["groups"] = []any{} })},
	{what: "host sees everybody active", want: hostState, play: LeaverReturns, plant: plant{view: func(a *Account) bool { a.State = active; return true }}},
	{what: "host sees no administrators", want: hostRole, play: AdminDisabled, plant: plant{view: func(a *Account) bool { a.Role = "ordinary"; return true }}},
	{what: "host sees names folded", want: hostName, play: Rename, plant: plant{view: func(a *Account) bool { a.UserName = strings.ToLower(a.UserName); return true }}},
	{what: "host sees no members", want: hostMembers, play: Rename, plant: plant{hostGroupsEmpty: true}},
	{what: "host sees no leavers", want: hostUnknown, play: LeaverReturns, preset: SuspendOrDelete,
		plant: plant{view: func(a *Account) bool { return a.State != removed }}},
	{what: "guard does not hold", want: hostState, play: AdminDisabled, preset: Mirror, plant: plant{view: func(a *Account) bool {
		if a.Role == "admin" {
			a.State = removed
		}
		return true
	}}},

	// No answer at all
	{what: "connection broken", want: transportFailed, also: collateral, options: func(o *Options) {
		o.Client.Transport = broken{o.Client.Transport, errors.New("connection reset by peer")}
	}},
	{what: "no answer in time", want: transportTimeout, also: collateral, options: func(o *Options) {
		o.Client.Transport = broken{o.Client.Transport, os.ErrDeadlineExceeded}
	}},
}

// unapplied is what shows when no PATCH has an effect.
var unapplied = []fault{echoMissing, echoChanged, echoCase, patchNeeded, memberLost, memberGroupEmptied, restoreMembersLost, roleNotStored}

// collateral is what follows when a single request is lost, whichever it was.
var collateral = []fault{
	echoMissing, echoChanged, patchNotApplied, patchNeeded, memberLost, memberExtra, memberGroupEmptied, memberReplace, groupMembersTouched,
	readGone, listGap, listTotal, listOrder, searchMissed, echoUnexpected, searchReference, deleteFound, roleNotStored,
}

// broken loses every PATCH of a group's members, which leaves the users unharmed.
type broken struct {
	http.RoundTripper
	err error
}

func (b broken) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/Groups/") {
		return nil, b.err
	}
	return b.RoundTripper.RoundTrip(r)
}

// TestPlantedFaults holds the judge itself: each fault is named, and nothing is named that does not follow from it.
func TestPlantedFaults(t *testing.T) {
	t.Parallel()
	for i, p := range plantedFaults {
		if underRace && i%8 != 0 {
			continue
		}
		t.Run(strings.ReplaceAll(p.what, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := &fakeServer{plant: p.plant, policy: policies[p.preset]}
			opt := options(s, orElse(p.dialect, Default))
			opt.Workers = 1 // what follows from a fault depends on whom it hits
			if p.play != "" {
				if opt.Users, opt.Groups, opt.Members = 60, 4, 90; p.plant.share != 0 {
					opt.Users = 130 // of fewer the floor of the tolerance is more than the share
				}
				opt.Scenario, opt.Preset, opt.Person, opt.Host = p.play, p.preset, s, s
			}
			if p.options != nil {
				p.options(&opt)
			}
			rep, err := Run(t.Context(), opt)
			if err != nil {
				t.Fatal(err)
			}
			if rep.OK() {
				t.Fatal("the report is OK")
			}
			if rep.Faults[string(p.want)] == 0 {
				t.Errorf("%s is not named\n%s", p.want, text(t, rep))
			}
			for name := range maps.Keys(rep.Faults) {
				if fault(name) != p.want && !slices.Contains(p.also, fault(name)) {
					t.Errorf("%s is named, which does not follow\n%s", name, text(t, rep))
				}
			}
		})
	}
}

// TestEveryFaultIsPlanted keeps the catalogue honest: a name that no test can provoke judges nothing.
func TestEveryFaultIsPlanted(t *testing.T) {
	t.Parallel()
	for name, words := range meaning {
		if words == "" {
			t.Errorf("%s has no meaning", name)
		}
		if !slices.ContainsFunc(plantedFaults, func(p planted) bool { return p.want == name }) {
			t.Errorf("%s is provoked by no planted fault", name)
		}
	}
	for _, p := range plantedFaults {
		if meaning[p.want] == "" {
			t.Errorf("%s: %s is not in the catalogue", p.what, p.want)
		}
	}
}
