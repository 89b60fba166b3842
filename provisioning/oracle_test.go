package provisioning

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/internal/testkit"
	"meibo/scim"
)

// What follows states the rules of departures a second time, in plain words and from their description alone, and
// compares decide with it in every situation. The statement calls nothing of what it judges.

// situation is one combination of everything that a decision about a departure depends on.
type situation struct {
	request   string // POST, PATCH or DELETE
	before    before
	active    string // as asserted now: "true", "false", or "" for unassigned
	inScope   bool   // of what is asserted now
	policy    DeletionPolicy
	role      string
	protected string // "", "person" or "settings"
	guard     GuardMode
	tolerance ToleranceMode
	level     int    // how far the departure is from the limit: negative below it, 0 reaches it
	word      string // what a person said: see words
	byPerson  bool
	asksFirst bool // the host application is asked what hangs on a user before a deletion
}

// before is the account that is there already.
type before struct {
	state   State // "" for none
	visible bool
	active  string
	inScope bool
}

// outcome is all that can be seen of a decision.
type outcome struct {
	Refused    string // kind and type of the error, "" for none
	RetryAfter time.Duration
	Action     JournalAction
	Outcome    Outcome
	Reason     string
	ID         string
	State      State
	Visible    bool
	Owner      int64
	PurgeAt    time.Time
	LeftAt     time.Time
	Role       string
	Members    int  // of a group, afterwards
	Joined     int  // less those who left
	Listed     int  // the same of those whom its client reads
	Changed    bool // one more version
	Opened     string
	Settled    string
	Claimed    string
}

const (
	oracleID    = "0198c0de-0000-7000-8000-00000000000a"
	oracleNew   = "0198c0de-0000-7000-8000-00000000000b"
	graceTime   = 48 * time.Hour
	claimWindow = 24 * time.Hour
)

var (
	leftEarlier  = now.Add(-100 * time.Hour)
	purgeEarlier = leftEarlier.Add(200 * time.Hour)
	lastSpent    = now.Add(-time.Hour)                 // the end of the oldest interval that counts
	retryLater   = lastSpent.Add(claimWindow).Sub(now) // which is 23 h, so the answer says
	answerAfter  = min(max(retryLater, time.Minute), 30*time.Minute)
)

// words are what a person may have said of a departure: nothing; nothing yet about a matter that is open; a word about
// this resource; or about so many departures of this cause, of another one, or of any; or nothing while the host
// application is being asked about an earlier departure of the same account.
var words = []string{"", "open", "allowed", "rejected", "overdue", "allowance", "allowanceOfAnother", "rejectsAll", "asked"}

// privileged is who is protected whatever the settings list: administrators and the holders of guarded roles.
func (s situation) isProtected() bool {
	return s.protected != "" || s.role == "admin" || s.role == "auditor"
}

// state the rules: departure is why the account is not to be effective.
func whyNot(active string, inScope bool) string {
	if active == "false" {
		return "deactivated"
	}
	if !inScope {
		return "scope"
	}
	return ""
}

func (s situation) plain() outcome {
	b := s.before
	o := outcome{Action: ActionUpdate, Outcome: Success, ID: oracleID, State: b.state, Visible: true, Owner: own, Role: s.role, Changed: true}
	if b.state == Suspended || b.state == Removed {
		o.LeftAt = leftEarlier
	}
	if b.state == Removed {
		o.PurgeAt = purgeEarlier
	}
	works := b.state == Active || b.state == Held
	if s.request == "DELETE" {
		o.Visible, o.Action = false, ActionDelete
		return s.departs(o, "deleted", works)
	}
	cause := whyNot(s.active, s.inScope)
	if b.state == "" {
		return s.newcomer(o, cause)
	}

	was, asked := "", ActionUpdate
	if b.visible {
		was = whyNot(b.active, b.inScope)
	}
	if b.visible && s.active == "" && was == "deactivated" {
		cause = was // nothing was said of access
	}
	if s.request == "PATCH" && s.active == "false" {
		asked = ActionDisable
	}
	invited := b.active == "" && s.active == "true" && !works // access may have been denied before nothing was said of it
	returns := cause == "" && (was != "" || !b.visible || b.state == Held || invited)
	switch {
	case returns:
		o.Settled = "delayed held kept purge "
		o.State, o.LeftAt, o.PurgeAt = Active, time.Time{}, time.Time{}
		o.Reason = "asserted"
		if !b.visible || !works {
			o.Reason = "restored"
		}
	case cause != "" && cause != was && (b.visible && was != "" || works):
		return s.departs(o, cause, works)
	case cause != "" && !b.visible:
		o.Reason = "restored"
		if b.state == Removed && s.policy != DeletePolicy {
			o.State, o.PurgeAt = Suspended, time.Time{}
		}
	case cause != "" && was == "" && b.visible && (b.state == Suspended || b.state == Removed):
		// A person had taken the account away, and now its client does.
		return s.departs(o, cause, works)
	default:
		o.Reason = "asserted"
	}
	if s.unchanged(o) {
		o.Action, o.Outcome, o.Reason, o.Changed = asked, Skipped, "unchanged", false
	}
	return o
}

// unchanged is whether nothing differs from what is there.
func (s situation) unchanged(o outcome) bool {
	return s.before.visible && s.active == s.before.active && s.inScope == s.before.inScope && o.State == s.before.state
}

// newcomer is the outcome of a POST that means nobody who is there.
func (s situation) newcomer(o outcome, cause string) outcome {
	o.ID, o.Action, o.Reason, o.State, o.Role = oracleNew, ActionCreate, "created", Active, ""
	switch {
	case cause == "deactivated", cause == "scope" && s.policy == SuspendPolicy:
		o.State, o.LeftAt = Suspended, now
	case cause == "scope":
		o.State, o.LeftAt = Removed, now
	}
	return o
}

// departs is the outcome of a cause, by policy, guard and tolerance.
func (s situation) departs(o outcome, cause string, works bool) outcome {
	deleted := cause == "deleted"
	if !deleted {
		o.Action = ActionDisable
	}
	stay := o
	effect := map[DeletionPolicy]State{SuspendPolicy: Suspended, DeletePolicy: Removed}[s.policy]
	if effect == Suspended && o.State == Removed {
		effect = Removed // what is removed is not brought back by a lesser policy
	}
	allows := DeletionPolicy(SuspendPolicy)
	if s.policy == DeletePolicy || deleted && s.policy != SuspendPolicy {
		allows = DeletePolicy
	}
	matter := func(kind MatterKind) string {
		return fmt.Sprintf("%s:%s:%s then %s", kind, cause, oracleID, allows)
	}
	ignored := func(o outcome) outcome {
		o.Outcome, o.Reason = Skipped, "ignored"
		if deleted {
			o.Owner = 0
		}
		return o
	}
	hold := func(o outcome, reason string) outcome {
		o.Outcome, o.Reason, o.Opened = Warning, reason, matter(MatterHeld)
		if works {
			o.State = Held
		}
		return o
	}

	if s.policy == IgnorePolicy {
		return ignored(stay)
	}
	harmless := s.policy == SuspendPolicy && !works
	if s.isProtected() && !harmless {
		if s.guard == GuardRefuse {
			return outcome{Refused: "invalid mutability", Action: map[bool]JournalAction{true: ActionDelete, false: s.asks()}[deleted], Outcome: Failure, Reason: "refused"}
		}
		stay.Outcome, stay.Reason, stay.Opened = Warning, "kept", matter(MatterKept)
		return stay
	}
	if s.policy == HoldPolicy {
		return hold(stay, "held")
	}
	if works {
		counted, decided := s.weigh(stay, cause, ignored, hold, matter)
		if decided {
			return counted
		}
		o = counted
		if s.before.state == Held {
			o.Settled += "held "
		}
	}
	if s.asksFirst && s.policy == DeletePolicy && o.State != Removed {
		// The client sees what hold shows; what the tolerance let go is spent.
		return hold(o, "impact")
	}
	if works {
		o.LeftAt = now
	}
	o.State, o.Reason = effect, string(effect)
	if s.policy == DeletePolicy {
		o.PurgeAt = now.Add(graceTime)
		if !deleted {
			o.Action = ActionStagedDelete
		}
	}
	return o
}

// asks is the word for what was asked for.
func (s situation) asks() JournalAction {
	switch {
	case s.request == "POST":
		return ActionCreate
	case s.active == "false":
		return ActionDisable
	default:
		return ActionUpdate
	}
}

// weigh is what the tolerance says of somebody who works: decided is whether the departure does not happen.
func (s situation) weigh(o outcome, cause string, ignored func(outcome) outcome, hold func(outcome, string) outcome, matter func(MatterKind) string) (_ outcome, decided bool) {
	if s.byPerson || s.tolerance == ToleranceOff {
		o.Settled = "delayed "
		return o, false
	}
	if s.word == "open" {
		o.Settled = "delayed "
	}
	switch s.word {
	case "allowed":
		return o, false
	case "rejected", "rejectsAll":
		return ignored(o), true
	case "asked":
		if s.before.state == Held {
			return o, false // it was let go before
		}
	case "allowance":
		o.Claimed = "version 6: 3 allowed"
		return o, false
	}
	if s.level < 0 {
		o.Claimed = fmt.Sprintf("version 6: %d spent", limitOfOracle+s.level)
		return o, false
	}
	if s.tolerance == ToleranceWithhold {
		return hold(o, "tolerance"), true
	}
	return outcome{Refused: "unavailable ", RetryAfter: answerAfter, Action: ActionStagedDelete, Outcome: Skipped, Reason: "tolerance", Opened: matter(MatterDelayed)}, true
}

// limitOfOracle is 20 % of 300 users, more than the floor and less than the count.
const limitOfOracle = 60

// facts are those of the situation.
func (s situation) facts() Facts {
	f := Facts{HasGroups: true}
	if b := s.before; b.state != "" {
		x := s.stored()
		if s.request == "POST" {
			f.Candidates.Stable = []Resource{*x}
		} else {
			f.Current = x
			f.Asserted = oracleUser(s.before.active, s.before.inScope)
		}
	}
	f.Departure = s.departure(scim.User, BudgetUsers)
	return f
}

// departure is what it is weighed by.
func (s situation) departure(t scim.ResourceType, kind BudgetKind) *DepartureFacts {
	spent := limitOfOracle + s.level - 1
	cause := s.cause(t)
	d := &DepartureFacts{Present: 300 - spent, Budget: Budget{Connection: own, Kind: kind, Version: 5, Spent: []Spent{
		{Until: now.Add(-claimWindow), N: 1000}, // over
		{Until: lastSpent, N: spent - 1}, {Until: now.Add(-time.Minute), N: 1}}}}
	matter := Matter{Kind: MatterDelayed, Cause: cause, Status: MatterOpen, Resource: oracleID}
	switch s.word {
	case "open":
		d.Matters = []Matter{matter}
	case "asked":
		matter.Kind, matter.Reason.Code = MatterHeld, "impact"
		d.Matters = []Matter{matter}
	case "allowed", "rejected":
		matter.Status, matter.Until = MatterStatus(s.word), now.Add(time.Second)
		d.Matters = []Matter{matter}
	case "overdue":
		matter.Status, matter.Until = MatterAllowed, now
		d.Matters = []Matter{matter}
		d.Budget.Allowances = []Allowance{{Cause: cause, Left: 4, Until: now}}
	case "allowance":
		d.Budget.Allowances = []Allowance{{Cause: "other", Left: -1, Until: now.Add(time.Second)}, {Cause: cause, Left: 4, Until: now.Add(time.Second)}}
	case "allowanceOfAnother":
		d.Budget.Allowances = []Allowance{{Cause: "other", Left: 4, Until: now.Add(time.Hour)}}
	case "rejectsAll":
		d.Budget.Allowances = []Allowance{{Left: -1, Until: now.Add(time.Hour), Reject: true}}
	}
	return d
}

func (s situation) cause(t scim.ResourceType) string {
	if s.request == "DELETE" {
		return "deleted"
	}
	if t == scim.Group {
		return "scope"
	}
	return whyNot(s.active, s.inScope)
}

func oracleUser(active string, inScope bool) scim.Attributes {
	a := scim.Attributes{"userName": "ann", "externalId": key, "title": map[bool]string{true: "staff", false: "guest"}[inScope]}
	if active != "" {
		a["active"] = active == "true"
	}
	return a
}

func (s situation) stored() *Resource {
	x := *oracleUsers[before{active: s.before.active, inScope: s.before.inScope}]
	s.furnish(&x)
	if s.role != "ordinary" {
		x.Role = s.role
	}
	return &x
}

// oracleUsers are the user's documents with their rows.
var oracleUsers = func() map[before]*Resource {
	all := map[before]*Resource{}
	for _, active := range []string{"true", "false", ""} {
		for _, inScope := range []bool{true, false} {
			all[before{active: active, inScope: inScope}] = stored(scim.User, oracleID, oracleUser(active, inScope))
		}
	}
	return all
}()

func (s situation) furnish(x *Resource) {
	x.Visible, x.State, x.Protected = s.before.visible, s.before.state, s.protected == "person"
	if x.State == Suspended || x.State == Removed {
		x.LeftAt = leftEarlier
	}
	if x.State == Removed {
		x.PurgeAt = purgeEarlier
	}
}

// rules are a connection's in the situation. The policies of the other causes are others.
func (s situation) rules(t testing.TB) *Rules {
	settings := DefaultSettings()
	settings.Scope.Users.Filter, settings.Scope.Groups.Filter = `title eq "staff"`, `displayName sw "in"`
	d := &settings.Deletion
	d.Users = UserDeletion{Deactivated: s.policy, Deleted: s.policy, Scope: s.policy}
	d.Groups = GroupDeletion{Deleted: s.policy, Scope: s.policy}
	d.Grace = Period(graceTime)
	settings.Roles.Names, settings.Roles.Guarded = []string{"staff", "auditor"}, []string{"auditor"}
	settings.Guard.Mode = s.guard
	if s.protected == "settings" {
		settings.Guard.Users, settings.Guard.Groups = []string{"ANN"}, []string{oracleID}
	}
	settings.Tolerance.Mode = s.tolerance
	if s.asksFirst {
		settings.Matters.Impact.URL = "https://app.example/impact"
	}
	r, err := NewRules(9, settings)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ruleOf is what the rules of a situation depend on.
type ruleOf struct {
	policy    DeletionPolicy
	guard     GuardMode
	listed    bool
	tolerance ToleranceMode
	asksFirst bool
}

func (s situation) ruleOf() ruleOf {
	return ruleOf{s.policy, s.guard, s.protected == "settings", s.tolerance, s.asksFirst}
}

// decided is what decide makes of the situation.
func (s situation) decided(r *Rules) outcome {
	d := Desired{ID: oracleNew, Type: scim.User, Connection: own, Now: now, ByPerson: s.byPerson, Asserted: oracleUser(s.active, s.inScope)}
	in := Intent{Type: scim.User, Action: s.asks()}
	if s.request == "DELETE" {
		d.Presence, d.Asserted, in.Action = Absent, nil, ActionDelete
	}
	f := s.facts()
	decision, err := decide(f, d, r)
	return seen(in, f, decision, err)
}

// seen is what can be seen of a decision.
func seen(in Intent, f Facts, decision Decision, err error) outcome {
	if err != nil {
		e := failureEntry(Origin{}, in, err)
		o := outcome{Action: e.Action, Outcome: e.Outcome, Reason: e.Reason.Code}
		if own := new(Error); errors.As(err, &own) {
			o.Refused, o.RetryAfter = own.Kind.String()+" "+own.Type, own.RetryAfter
			if own.Matter != nil {
				o.Opened = describe(own.Matter)
			}
		} else {
			o.Refused = err.Error()
		}
		return o
	}
	c := decision.Changes[len(decision.Changes)-1]
	e := changeEntry(Origin{}, in, c)
	x := c.After
	o := outcome{Action: e.Action, Outcome: e.Outcome, Reason: e.Reason.Code, ID: x.ID, State: x.State, Visible: x.Visible, Owner: x.Connection,
		PurgeAt: x.PurgeAt, LeftAt: x.LeftAt, Role: x.RoleName()}
	if c.Before == nil {
		o.Changed, o.Role = x.Version == 1, x.Role
	} else {
		o.Changed = x.Version == c.Before.Version+1
	}
	o.Members, o.Joined = x.MemberCount, c.Members.Grown()
	o.Listed = len(c.Members.Add) + len(c.Members.AssertedAdd) - len(c.Members.Remove) - len(c.Members.AssertedRemove)
	var kinds []MatterKind
	for _, m := range decision.Matters {
		if m.Open != nil {
			o.Opened += describe(m.Open)
		}
		if m.Settle != nil {
			kinds = append(kinds, m.Settle.Kinds...)
		}
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		o.Settled += string(kind) + " "
	}
	for _, b := range decision.Budgets {
		o.Claimed += claim(f.Departure.Budget, b)
	}
	return o
}

func describe(m *Matter) string {
	return fmt.Sprintf("%s then %s", m.Key, m.Then)
}

// claim says what one departure took from a budget.
func claim(before, after Budget) string {
	spent := 0
	for _, s := range after.Spent {
		spent += s.N
	}
	if after.Connection != before.Connection || after.Kind != before.Kind {
		return fmt.Sprintf("of another budget: %d %s", after.Connection, after.Kind)
	}
	for _, a := range after.Allowances {
		for _, was := range before.Allowances {
			if a.Cause == was.Cause && a.Left != was.Left {
				return fmt.Sprintf("version %d: %d allowed", after.Version, a.Left)
			}
		}
	}
	return fmt.Sprintf("version %d: %d spent", after.Version, spent)
}

// situations calls each with all that there are of one request and account.
func (s situation) situations(each func(situation)) {
	for _, s.policy = range []DeletionPolicy{SuspendPolicy, DeletePolicy, HoldPolicy, IgnorePolicy} {
		for _, s.role = range []string{"ordinary", "staff", "auditor", "admin"} {
			for _, s.protected = range []string{"", "person", "settings"} {
				for _, s.guard = range []GuardMode{GuardAccept, GuardRefuse} {
					for _, s.asksFirst = range []bool{false, true} {
						s.weighed(each)
					}
				}
			}
		}
	}
}

// weighed calls each with the situation under each state of the tolerance and each word of a person.
func (s situation) weighed(each func(situation)) {
	for _, s.byPerson = range []bool{false, true} {
		s.tolerance, s.level, s.word = ToleranceOff, 0, ""
		each(s)
		for _, s.tolerance = range []ToleranceMode{ToleranceDelay, ToleranceWithhold} {
			for _, s.level = range []int{-1, 0, 5} {
				for _, s.word = range words {
					each(s)
				}
			}
		}
	}
}

// requests are the requests with whom they can mean.
func requests() (all []situation) {
	actives, both := []string{"true", "false", ""}, []bool{true, false}
	var accounts []before
	for _, state := range []State{Active, Suspended, Held, Removed} {
		for _, visible := range both {
			for _, active := range actives {
				for _, inScope := range both {
					accounts = append(accounts, before{state, visible, active, inScope})
				}
			}
		}
	}
	for _, b := range append(accounts, before{}) {
		if b.visible {
			all = append(all, situation{request: "DELETE", before: b})
		}
		for _, active := range actives {
			for _, inScope := range both {
				request := "POST"
				if b.visible {
					request = "PATCH"
				}
				all = append(all, situation{request: request, before: b, active: active, inScope: inScope})
			}
		}
	}
	return all
}

// every has TestDecideInEverySituation judge all situations; otherwise it judges one of some.
var every = flag.Bool("every", false, "judge decide in every situation")

// judge compares decide with the plain statement, in one of stride situations, and calls report with each difference,
// one at a time.
func judge(rules map[ruleOf]*Rules, stride int, report func(s situation, diff string)) (judged int) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for i, request := range requests() {
		all.Go(func() {
			n, own := i, 0
			request.situations(func(s situation) {
				if n++; n%stride != 0 {
					return
				}
				own++
				if want, got := s.plain(), s.decided(rules[s.ruleOf()]); want != got {
					mu.Lock()
					defer mu.Unlock()
					report(s, cmp.Diff(want, got))
				}
			})
			mu.Lock()
			defer mu.Unlock()
			judged += own
		})
	}
	all.Wait()
	return judged
}

// TestDecideInEverySituation judges each combination of request, account, cause, policy, role, protection, guard,
// tolerance and a person's word.
func TestDecideInEverySituation(t *testing.T) {
	t.Parallel()
	stride := 29
	if testkit.RaceDetector {
		stride = 499
	}
	if *every {
		stride = 1
	}
	differences := 0
	judged := judge(compiledRules(t, situation.rules), stride, func(s situation, diff string) {
		if differences++; differences <= 20 {
			t.Errorf("%+v (-plain +decided):\n%s", s, diff)
		}
	})
	t.Logf("%d situations, %d differences", judged, differences)
}

// compiledRules are those of all situations.
func compiledRules(t *testing.T, rules func(situation, testing.TB) *Rules) map[ruleOf]*Rules {
	t.Helper()
	all := map[ruleOf]*Rules{}
	situation{request: "DELETE"}.situations(func(s situation) {
		if all[s.ruleOf()] == nil {
			all[s.ruleOf()] = rules(s, t)
		}
	})
	return all
}

// TestPlantedFaultsAreFound: decide goes by rules that are not those of the situation, and judge tells.
func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(*situation, *Settings){
		"hold suspends":                func(s *situation, _ *Settings) { s.policy = swap(s.policy, HoldPolicy, SuspendPolicy) },
		"suspend deletes":              func(s *situation, _ *Settings) { s.policy = swap(s.policy, SuspendPolicy, DeletePolicy) },
		"ignore holds":                 func(s *situation, _ *Settings) { s.policy = swap(s.policy, IgnorePolicy, HoldPolicy) },
		"only DELETE is held":          func(_ *situation, set *Settings) { set.Deletion.Users.Deactivated = SuspendPolicy },
		"leaving the scope is ignored": func(_ *situation, set *Settings) { set.Deletion.Users.Scope = IgnorePolicy },
		"another grace time":           func(_ *situation, set *Settings) { set.Deletion.Grace++ },
		"a guard that refuses accepts": func(s *situation, _ *Settings) { s.guard = GuardAccept },
		"a role is not guarded":        func(_ *situation, set *Settings) { set.Roles.Guarded = nil },
		"the list protects nobody":     func(_ *situation, set *Settings) { set.Guard.Users = nil },
		"delay withholds":              func(s *situation, _ *Settings) { s.tolerance = swap(s.tolerance, ToleranceDelay, ToleranceWithhold) },
		"no tolerance":                 func(s *situation, _ *Settings) { s.tolerance = ToleranceOff },
		"one more than tolerated": func(_ *situation, set *Settings) {
			set.Tolerance.Users.Count = limitOfOracle + 1
			set.Tolerance.Users.Share = 50
		},
		"nobody is asked first":    func(s *situation, _ *Settings) { s.asksFirst = false },
		"everybody is asked about": func(s *situation, _ *Settings) { s.asksFirst = true },
		"a shorter window":         func(_ *situation, set *Settings) { set.Tolerance.Window = Period(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := 0
			rules := compiledRules(t, func(s situation, t testing.TB) *Rules {
				planted := s
				plant(&planted, &Settings{})
				settings := planted.rules(t).Settings
				plant(&planted, &settings)
				r, err := NewRules(9, settings)
				if err != nil {
					t.Fatal(err)
				}
				return r
			})
			judge(rules, 499, func(situation, string) { found++ })
			if found == 0 {
				t.Error("nothing was found")
			}
		})
	}
}

func swap[T comparable](v, from, to T) T {
	if v == from {
		return to
	}
	return v
}
