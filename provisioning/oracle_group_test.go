package provisioning

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
)

// plainGroup states the rules of a group's departure.
func (s situation) plainGroup() outcome {
	b := s.before
	o := outcome{Action: ActionUpdate, Outcome: Success, Reason: "asserted", ID: oracleID, State: b.state, Visible: true, Owner: own, Role: "ordinary",
		Changed: true, Members: 2}
	works := b.state == Active || b.state == Held
	if b.state == Removed {
		o.LeftAt, o.PurgeAt = leftEarlier, purgeEarlier
	}
	switch {
	case s.request == "DELETE":
		o.Action, o.Visible = ActionDelete, false
		return s.groupDeparts(o, "deleted", works)
	case b.state == "":
		o.ID, o.Action, o.Reason, o.State, o.Role, o.Members = oracleNew, ActionCreate, "created", Active, "", 0
		if !s.inScope {
			o.State, o.LeftAt = Removed, now
		}
		return o
	case s.inScope && (!b.inScope || b.state == Held):
		o.State, o.LeftAt, o.PurgeAt, o.Settled = Active, time.Time{}, time.Time{}, "delayed held kept purge "
		if !works {
			o.Reason = "restored"
		}
	case !s.inScope && b.inScope:
		o.Action = ActionStagedDelete
		return s.groupDeparts(o, "scope", works)
	default:
		o.Action, o.Outcome, o.Reason, o.Changed = ActionUpdate, Skipped, "unchanged", false
	}
	return o
}

func (s situation) groupDeparts(o outcome, cause string, works bool) outcome {
	deleted := cause == "deleted"
	allows := s.policy
	if s.policy == HoldPolicy || s.policy == IgnorePolicy {
		allows = DeletePolicy
	}
	matter := func(kind MatterKind) string {
		return fmt.Sprintf("%s:%s:%s then %s", kind, cause, oracleID, allows)
	}
	ignored := func(o outcome) outcome {
		if o.Outcome, o.Reason = Skipped, "ignored"; deleted {
			o.Owner = 0
		} else {
			o.Action = ActionUpdate
		}
		return o
	}
	hold := func(o outcome, reason string) outcome {
		if o.Outcome, o.Reason, o.Opened = Warning, reason, matter(MatterHeld); works {
			o.State = Held
		}
		return o
	}
	switch {
	case s.policy == IgnorePolicy:
		return ignored(o)
	case s.protected != "" && s.guard == GuardRefuse:
		return outcome{Refused: "invalid mutability", Action: map[bool]JournalAction{true: ActionDelete, false: ActionUpdate}[deleted], Outcome: Failure, Reason: "refused"}
	case s.protected != "":
		o.Outcome, o.Reason, o.Opened = Warning, "kept", matter(MatterKept)
		return o
	case s.policy == HoldPolicy:
		return hold(o, "held")
	}
	if works {
		counted, decided := s.weigh(o, cause, ignored, hold, matter)
		if decided {
			return counted
		}
		if o = counted; s.before.state == Held {
			o.Settled += "held "
		}
	}
	if s.policy == DeletePolicy {
		if o.State, o.PurgeAt = Removed, now.Add(graceTime); works {
			o.LeftAt = now
		}
	} else {
		if o.Members, o.Joined = 0, -2; works {
			o.State = Active
		}
		if s.request == "DELETE" { // out of scope, its client still lists whom it listed
			o.Listed = -2
		}
	}
	o.Reason = string(o.State)
	return o
}

func (s situation) decidedGroup(r *Rules) outcome {
	name := map[bool]string{true: "in sales", false: "sales"}
	d := Desired{ID: oracleNew, Type: scim.Group, Connection: own, Now: now, ByPerson: s.byPerson, Asserted: scim.Attributes{"displayName": name[s.inScope]}}
	in := Intent{Type: scim.Group, Action: map[string]JournalAction{"POST": ActionCreate, "PATCH": ActionUpdate, "DELETE": ActionDelete}[s.request]}
	if s.request == "DELETE" {
		d.Presence, d.Asserted = Absent, nil
	}
	f := Facts{Departure: s.departure(scim.Group, BudgetGroups)}
	if s.before.state != "" {
		x := group(oracleID, name[s.before.inScope])
		s.furnish(x)
		x.MemberCount = 2
		f.Current, f.Asserted, f.HasOpen, f.HasListed = x, scim.Attributes{"displayName": name[s.before.inScope]}, true, true
		for _, id := range []string{"a", "b"} {
			f.Open = append(f.Open, Membership{Member: scim.Member{Value: id}, Asserted: true, Effective: true})
		}
	}
	decision, err := decide(f, d, r)
	return seen(in, f, decision, err)
}

// TestDecideOnGroupsInEverySituation judges what becomes of groups.
func TestDecideOnGroupsInEverySituation(t *testing.T) {
	t.Parallel()
	rules := map[ruleOf]*Rules{}
	judged, differences := 0, 0
	for _, s := range groupRequests() {
		for _, s.policy = range []DeletionPolicy{DeletePolicy, RemoveMembersPolicy, HoldPolicy, IgnorePolicy} {
			for _, s.protected = range []string{"", "person", "settings"} {
				for _, s.guard = range []GuardMode{GuardAccept, GuardRefuse} {
					s.asksFirst = !s.asksFirst // about users alone
					s.weighed(func(s situation) {
						if rules[s.ruleOf()] == nil {
							rules[s.ruleOf()] = s.rules(t)
						}
						judged++
						if want, got := s.plainGroup(), s.decidedGroup(rules[s.ruleOf()]); want != got {
							if differences++; differences <= 10 {
								t.Errorf("%+v (-plain +decided):\n%s", s, cmp.Diff(want, got))
							}
						}
					})
				}
			}
		}
	}
	t.Logf("%d situations, %d differences", judged, differences)
}

func groupRequests() (all []situation) {
	for _, inScope := range []bool{true, false} {
		all = append(all, situation{request: "POST", inScope: inScope})
		for _, state := range []State{Active, Held, Removed} {
			b := before{state: state, visible: true, inScope: inScope}
			all = append(all, situation{request: "DELETE", before: b, inScope: inScope},
				situation{request: "PATCH", before: b, inScope: true}, situation{request: "PATCH", before: b})
		}
	}
	return all
}

// removal is a PATCH that takes members from a group.
type removal struct {
	size, spent, leave, join int
	protected                string
	guard                    GuardMode
	tolerance                ToleranceMode
	word                     string // of a person about those who leave, about the first of them, or about somebody else
	byPerson                 bool
}

// stays is how many of those who leave a person has said of that they stay.
func (s removal) stays() int {
	switch s.word {
	case "rejected":
		return s.leave
	case "rejected one":
		return 1
	default:
		return 0
	}
}

// plain states the rules of removals: a protected group is not emptied, and one of 50 members or more does not lose half
// of them within a window. Of whom a person has said that they stay, nothing is weighed.
func (s removal) plain() outcome {
	gone := outcome{Action: ActionUpdate, Outcome: Success, Reason: "asserted", ID: oracleID, State: Active, Visible: true, Owner: own, Role: "ordinary",
		Changed: true, Members: s.size + s.join - s.leave, Joined: s.join - s.leave, Listed: s.join - s.leave}
	stay := gone // the client reads what it wrote
	stay.Members, stay.Joined = s.size+s.join, s.join
	base := s.size + s.spent
	leaves := s.leave - s.stays()
	half := (s.spent+leaves)*2 >= base-base%2 // a share is rounded down
	some := gone
	some.Members, some.Joined = s.size+s.join-leaves, s.join-leaves
	if s.stays() > 0 {
		some.Outcome, some.Reason = Warning, "ignored"
	}
	if s.word == "open" { // it went through by itself
		some.Settled = "delayed "
	}
	switch {
	case s.protected != "" && s.size+s.join == s.leave && s.guard == GuardRefuse:
		return outcome{Refused: "invalid mutability", Action: ActionUpdate, Outcome: Failure, Reason: "refused"}
	case s.protected != "" && s.size+s.join == s.leave:
		stay.Outcome, stay.Reason, stay.Opened = Warning, "kept", "kept:members:"+oracleID+" then "
	case s.byPerson, s.tolerance == ToleranceOff, base < 50:
		return gone
	case leaves == 0:
		stay.Outcome, stay.Reason = Skipped, "ignored"
	case !half, s.word == "allowed":
		return some
	case s.tolerance == ToleranceWithhold:
		stay.Outcome, stay.Reason, stay.Opened = Warning, "tolerance", "held:members:"+oracleID+" then "
	default:
		stop := outcome{Refused: "unavailable ", Action: ActionStagedDelete, Outcome: Skipped, Reason: "tolerance", Opened: "delayed:members:" + oracleID + " then ",
			RetryAfter: answerAfter}
		return stop
	}
	return stay
}

func (s removal) decided(t *testing.T) outcome {
	like := situation{protected: s.protected, guard: s.guard, tolerance: s.tolerance, policy: DeletePolicy}
	x := group(oracleID, "in sales")
	x.MemberCount, x.Protected = s.size, s.protected == "person"
	x.Removals, _ = json.Marshal([]Spent{{Until: now.Add(-claimWindow), N: 1000}, {Until: lastSpent, N: s.spent}})
	f := Facts{Current: x, Asserted: scim.Attributes{"displayName": "in sales"}, Departure: &DepartureFacts{}}
	d := Desired{Type: scim.Group, Connection: own, Now: now, ByPerson: s.byPerson, Asserted: f.Asserted}
	for i := range s.size {
		f.Members = append(f.Members, MemberFact{ID: fmt.Sprint(i), Issued: true, Visible: true, Member: true, Effective: true})
	}
	for i := range s.join {
		id := fmt.Sprint("new", i)
		f.Members = append(f.Members, MemberFact{ID: id, Issued: true, Visible: true})
		d.Members.Add = append(d.Members.Add, scim.Member{Value: id})
	}
	for i := range s.leave {
		d.Members.Remove = append(d.Members.Remove, fmt.Sprint(i))
	}
	if s.word != "" {
		status, _, _ := strings.Cut(s.word, " ")
		about := map[string][]string{"rejected one": d.Members.Remove[:1], "rejected another": {"another"}}[s.word]
		if about == nil {
			about = d.Members.Remove
		}
		f.Departure.Matters = []Matter{{Kind: MatterDelayed, Cause: "members", Status: MatterStatus(status), Resource: oracleID, Members: about}}
	}
	decision, err := decide(f, d, like.rules(t))
	return seen(Intent{Type: scim.Group, Action: ActionUpdate}, f, decision, err)
}

func TestDecideOnRemovalsInEverySituation(t *testing.T) {
	t.Parallel()
	for _, s := range []removal{
		{size: 1, leave: 1}, {size: 49, leave: 49}, {size: 50, leave: 24}, {size: 50, leave: 25}, {size: 51, leave: 24}, {size: 51, leave: 25},
		{size: 49, spent: 1, leave: 24}, {size: 49, spent: 1, leave: 23}, {size: 30, spent: 30, leave: 1}, {size: 100, leave: 100}, {size: 100, spent: 3, leave: 48}, {size: 100, spent: 3, leave: 47},
	} {
		for _, s.join = range []int{0, 1} {
			for _, s.protected = range []string{"", "person", "settings"} {
				for _, s.guard = range []GuardMode{GuardAccept, GuardRefuse} {
					for _, s.tolerance = range []ToleranceMode{ToleranceOff, ToleranceDelay, ToleranceWithhold} {
						for _, s.word = range []string{"", "open", "allowed", "rejected", "rejected one", "rejected another"} {
							for _, s.byPerson = range []bool{false, true} {
								if diff := cmp.Diff(s.plain(), s.decided(t)); diff != "" {
									t.Errorf("%+v (-plain +decided):\n%s", s, diff)
								}
							}
						}
					}
				}
			}
		}
	}
}
