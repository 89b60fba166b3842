package provisioning

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// A deletion that the settings want the host application asked about goes through these states. Nothing but a person, or
// its client's change of mind, leads out of held as long as there is no answer.
//
//	departure ─▶ policy delete ─▶ guard ─▶ tolerance ─▶ held, with an open matter of ReasonImpact
//	                                                      │  ▲
//	                                            question  ▼  │ no answer: asked again, later each time
//	                                                    answer ─▶ removed, the matter allowed
//
// What it takes of the tolerance it takes when it is asked for: the answer says what goes with an account and not whether
// a client has gone wrong.

// ImpactQuery is a question to a host application: what hangs on an account whose departure waits?
type ImpactQuery struct {
	ID         string // of this question, UUIDv7; another one each time
	URL        string // whom to ask
	Timeout    time.Duration
	Tenant     string
	Connection string // name
	Matter     string // id
	Cause      string
	Resource   ImpactResource
	At         time.Time
}

// ImpactResource is the account that a question is about, as the host application knows it.
type ImpactResource struct {
	ID         string
	Type       scim.ResourceType
	ExternalID string
	Name       string // effective userName, or displayName of a group
}

// Impact is what a host application was asked of a matter, and said.
type Impact struct {
	Asks    int              // how often it was asked
	AskedAt time.Time        // when last; zero for never
	Failure string           // why that had no answer; "" where it had one, or has yet to come
	Counts  map[string]int64 // what hangs on the account, by name; nil as long as there is no answer
}

// Bounds of the time between two questions about one matter.
const (
	firstAsk = time.Minute
	lastAsk  = 6 * time.Hour
)

// due is when to ask next, if there is no answer: each time twice as long after the last time.
func (i Impact) due() time.Time {
	if i.Asks == 0 {
		return time.Time{}
	}
	wait := lastAsk
	if doubled := i.Asks - 1; doubled < 16 {
		wait = min(firstAsk<<doubled, lastAsk)
	}
	return i.AskedAt.Add(wait)
}

// CountsText is what a host application counted, in one line for people and by name.
func CountsText(counts map[string]int64) string {
	if len(counts) == 0 {
		return "nothing"
	}
	parts := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

func (i ImpactSettings) timeout() time.Duration {
	return cmp.Or(i.Timeout, defaultImpactTimeout).Duration()
}

// asks reports whether the host application is asked before the policy delete is done.
func (r *Rules) asks() bool { return r.Settings.Matters.Impact.URL != "" }

// asksFirst reports whether an effect waits for the host application: a user's removal, once.
func (r *Rules) asksFirst(x *Resource, e effect) bool {
	return r.asks() && x.Type == scim.User && e.state == Removed && x.State != Removed
}

func awaitedImpact(cause string, policy DeletionPolicy) Reason {
	return Reason{Code: ReasonImpact, Args: map[string]string{"cause": cause, "policy": string(policy)}}
}

// awaitImpact keeps an effect back until the host application was heard. One that waited for another cause waits for
// this one from now on.
func (r *Rules) awaitImpact(d Desired, x *Resource, e effect, policy DeletionPolicy) effect {
	held := e.keptBack(x, awaitedImpact(e.cause, policy), d.Now)
	m := r.matter(x, MatterHeld, e.cause, held.warning, d.Now)
	if x.State == Held {
		held.settleBut(m.Key, x, d.Now)
	}
	held.open(m)
	return held
}

// settleBut closes what is held of a resource, but for the matter of a key.
func (e *effect) settleBut(key string, x *Resource, now time.Time) {
	e.settle(x, now, MatterHeld)
	e.matters[len(e.matters)-1].Settle.Except = key
}

// awaitsImpact reports whether a departure waits for the host application.
func awaitsImpact(m Matter) bool { return m.Status == MatterOpen && m.Reason.Code == ReasonImpact }

// letsGo reports whether an answer about a matter is all that a deletion waits for: the settings in force still want both,
// nobody has protected the account meanwhile, and its client has not taken the deletion back.
func (r *Rules) letsGo(m Matter, x *Resource) bool {
	policy := r.policy(x.Type, m.Cause)
	if m.Cause == CauseAgeing {
		policy = r.Settings.Deletion.Ageing.Do
	}
	return awaitsImpact(m) && r.asks() && policy == DeletePolicy && x.Connection == m.Connection && !isBack(m.Cause, x) && !r.protects(x)
}

// isDeparture reports whether a matter is about somebody who is to go, or to be purged.
func (m *Matter) isDeparture() bool {
	kinds := []MatterKind{MatterHeld, MatterKept, MatterDelayed, MatterPurge}
	return slices.Contains(kinds, m.Kind) && m.Cause != CauseMembers && m.Cause != CauseRole && m.Resource != ""
}

// CanServe refuses settings that this server, or command, lacks something for. Invalid, with key and remedy.
func (s *Service) CanServe(settings Settings) error {
	if settings.Matters.Impact.URL == "" || s.asks != nil {
		return nil
	}
	return &Error{Kind: Invalid, Attribute: "matters.impact.url",
		Detail: "matters.impact.url wants questions signed, and no secret is configured: they would have no answer, and deletions would be held for ever; " +
			"set impact_secret (MEIBO_IMPACT_SECRET) for the server, and for this command"}
}

// Cascade is what meibo itself has of an account that is to go: it goes with it.
type Cascade struct {
	Role    string      // of a user
	Groups  []Reference // that a user is in
	Members int         // of a group
}

// Cascades reads what hangs on the accounts of open matters, by the matter's id. Matters about nobody have none.
func (s *Service) Cascades(ctx context.Context, tenant string, matters []Matter) (map[string]Cascade, error) {
	return View(ctx, s.store, tenant, func(r Reader) (map[string]Cascade, error) {
		out := make(map[string]Cascade, len(matters))
		for _, m := range matters {
			if m.Status != MatterOpen || m.Resource == "" {
				continue
			}
			x, err := r.Account(m.Type, m.Resource, References{Groups: m.Type == scim.User})
			if KindOf(err) == NotFound && err != nil {
				continue
			}
			if err != nil {
				return nil, err
			}
			c := Cascade{Members: x.MemberCount}
			if x.Type == scim.User {
				c.Role, c.Groups = x.RoleName(), x.Groups
			}
			out[m.ID] = c
		}
		return out, nil
	})
}
