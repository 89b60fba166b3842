package supportpack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"meibo/internal/capture"
	"meibo/internal/seal"
	"meibo/provisioning"
	"meibo/provisioning/summary"
	"meibo/provisioning/words"
)

// Options are what making a pack needs.
type Options struct {
	Service *provisioning.Service
	// Exchange reads a captured request. NotFound, seal.ErrOpen. nil where none are captured.
	Exchange func(ctx context.Context, tenant, correlation string) (capture.Exchange, error)
	Key      []byte // of the pseudonyms
	Server   Server
}

// Query says whose case it is: that of an entry, or of a user or group by id, name, address or externalId.
type Query struct {
	Tenant      string
	Entry, User string
	Since       time.Time
}

// Bounds of a pack; what is older is left out, and noted.
const (
	maxEntries = 500
	maxChains  = 100
)

// maker makes one pack.
type maker struct {
	Options
	Query
	ctx         context.Context
	names       *pseudonyms
	pack        Pack
	entries     []provisioning.Entry // oldest first
	connections map[int64]provisioning.Connection
	exchanges   []exchanged // oldest first
	chains      []told
}

// told is why an entry says what it says, with what that comes to once more.
type told struct {
	provisioning.Chain
	again summary.Reevaluation
}

// exchanged is a captured request with the entries that it made.
type exchanged struct {
	capture.Exchange
	entry   provisioning.Entry // that has the request
	befores []before
}

// Make makes a pack. NotFound where the log has nothing.
func Make(ctx context.Context, o Options, q Query) (Pack, error) {
	m := maker{Options: o, Query: q, ctx: ctx, names: newPseudonyms(o.Key), connections: map[int64]provisioning.Connection{}}
	for _, gather := range []func() error{m.gatherEntries, m.gatherConnections, m.gatherExchanges, m.gatherBefore, m.gatherChains} {
		if err := gather(); err != nil {
			return Pack{}, err
		}
	}
	notes := m.pack.Notes
	for range 2 { // what the first turn met in personal places the second one finds in sentences, too
		m.pack = Pack{Format: Format, Version: Version, Made: o.Service.Now(), Server: o.Server, Notes: append([]string{}, notes...), Chains: map[string]summary.Chain{}}
		for _, write := range []func() error{m.writeEntries, m.writeChains, m.writeConnections, m.writeRecording} {
			if err := write(); err != nil {
				return Pack{}, err
			}
		}
	}
	return m.pack, nil
}

func (m *maker) note(format string, args ...any) {
	m.pack.Notes = append(m.pack.Notes, fmt.Sprintf(format, args...))
}

// gatherEntries reads what the log has of the case.
func (m *maker) gatherEntries() error {
	found := map[string]provisioning.Entry{}
	queries := m.asked()
	if m.Entry != "" {
		e, err := m.one(m.Entry)
		if err != nil {
			return err
		}
		found[e.ID] = e
		queries = []provisioning.EntryQuery{{Correlation: e.Correlation}}
		if e.ResourceID != "" {
			queries = append(queries, provisioning.EntryQuery{Resource: e.ResourceID, Since: minTime(m.Since, e.At)})
		}
	}
	for _, q := range queries {
		if err := m.read(q, found); err != nil {
			return err
		}
	}
	for _, id := range resources(found) {
		for _, q := range []provisioning.EntryQuery{{Resource: id, Since: m.Since}, {Member: id, Since: m.Since}} {
			if m.Entry == "" {
				if err := m.read(q, found); err != nil {
					return err
				}
			}
		}
	}
	if len(found) == 0 {
		return &provisioning.Error{Kind: provisioning.NotFound, Detail: "the log has nothing of that since then: name an id, a userName or displayName, a mail address or an externalId, or go further back with --since"}
	}
	m.entries = slices.SortedFunc(maps.Values(found), func(a, b provisioning.Entry) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID)) })
	if over := len(m.entries) - maxEntries; over > 0 {
		m.note("the oldest %d entries were left out: a pack has %d at most", over, maxEntries)
		m.entries = m.entries[over:]
	}
	for _, e := range m.entries {
		m.names.kept[e.ID], m.names.kept[e.Correlation] = true, true
	}
	return nil
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// asked are the ways to find who was named.
func (m *maker) asked() []provisioning.EntryQuery {
	if uuid.Validate(m.User) == nil {
		return []provisioning.EntryQuery{{Resource: strings.ToLower(m.User), Since: m.Since}, {ExternalID: m.User, Since: m.Since}}
	}
	return []provisioning.EntryQuery{{Name: m.User, Since: m.Since}, {Mail: m.User, Since: m.Since}, {ExternalID: m.User, Since: m.Since}}
}

func (m *maker) one(id string) (e provisioning.Entry, err error) {
	page, err := m.Service.EntryPage(m.ctx, m.Tenant, provisioning.EntryQuery{ID: id, Limit: 1})
	if err == nil && len(page.Entries) == 0 {
		err = &provisioning.Error{Kind: provisioning.NotFound, Detail: "the log has no entry with that id"}
	}
	if err != nil {
		return e, err
	}
	return page.Entries[0], nil
}

func (m *maker) read(q provisioning.EntryQuery, into map[string]provisioning.Entry) error {
	q.Limit = 2 * maxEntries
	return m.Service.Entries(m.ctx, m.Tenant, q, func(e provisioning.Entry) error {
		into[e.ID] = e
		return nil
	})
}

func resources(entries map[string]provisioning.Entry) []string {
	ids := map[string]bool{}
	for _, e := range entries {
		if uuid.Validate(e.ResourceID) == nil {
			ids[e.ResourceID] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

func (m *maker) gatherConnections() error {
	all, err := m.Service.Connections(m.ctx, m.Tenant)
	for _, c := range all {
		if slices.ContainsFunc(m.entries, func(e provisioning.Entry) bool { return e.Connection == c.ID }) {
			m.connections[c.ID] = c
		}
	}
	return err
}

func (m *maker) gatherExchanges() error {
	if m.Exchange == nil {
		m.note("there are no requests: the server has no secret_key to keep them sealed with")
		return nil
	}
	seen, missing := map[string]bool{}, 0
	for _, e := range m.entries {
		if e.Request == nil || e.Request.Dialect == "" || e.Correlation == "" || seen[e.Correlation] {
			continue
		}
		seen[e.Correlation] = true
		x, err := m.Exchange(m.ctx, m.Tenant, e.Correlation)
		switch {
		case errors.Is(err, seal.ErrOpen):
			m.note("the request of entry %s was sealed with another secret_key", e.ID)
		case err != nil && provisioning.KindOf(err) == provisioning.NotFound:
			missing++
		case err != nil:
			return err
		case !x.Request.IsWhole():
			m.note("the request of entry %s is left out: it was not kept whole (%s)", e.ID, x.Request.Note)
		default:
			m.exchanges = append(m.exchanges, exchanged{x, e, nil})
		}
	}
	if missing > 0 {
		m.note("%d requests are not there: they were not captured, or are older than capture_retention", missing)
	}
	slices.SortStableFunc(m.exchanges, func(a, b exchanged) int { return a.At.Compare(b.At) })
	return nil
}

func (m *maker) writeEntries() error {
	for _, e := range m.entries {
		m.pack.Entries = append(m.pack.Entries, summary.Of(tenantName, m.names.entry(e)))
	}
	m.pack.Subject = m.names.value(cmp.Or(m.User, m.Entry))
	return nil
}

// gatherChains asks why of each entry, and decides again: on what was recorded, and not on pseudonyms of that.
func (m *maker) gatherChains() error {
	decisive := m.decisive()
	first := max(0, len(m.entries)-maxChains)
	for i, e := range m.entries {
		if i < first && e.ID != decisive.ID {
			continue
		}
		chain, err := m.Service.Why(m.ctx, m.Tenant, e.ID)
		if err != nil {
			return err
		}
		again, err := summary.ReevaluationOf(chain, summary.Speaker{Words: words.English})
		if err != nil {
			return err
		}
		m.chains = append(m.chains, told{chain.WithoutInputs(), again})
	}
	return nil
}

// writeChains says why, and of the entry that the case is about in one sentence.
func (m *maker) writeChains() error {
	decisive := m.decisive()
	for _, c := range m.chains {
		e := c.Entry
		view, err := summary.WhyOf(tenantName, m.names.chain(c.Chain), summary.Speaker{Words: words.English})
		if err != nil {
			return err
		}
		view.Reevaluation = c.again
		view.Reevaluation.Differences = slices.Clone(c.again.Differences)
		for i, text := range c.again.Differences {
			view.Reevaluation.Differences[i] = m.names.sentence(text)
		}
		m.pack.Chains[e.ID] = view
		if e.ID == decisive.ID {
			m.pack.Cause = Cause{Entry: e.ID, Sentence: view.Sentence}
			if e.Error != nil {
				m.pack.Cause.Advice = e.Error.RecommendedAction
			}
		}
	}
	return nil
}

// decisive is the entry that was asked for, or else the last that did not go as the client wanted, or else the last.
func (m *maker) decisive() provisioning.Entry {
	last := m.entries[len(m.entries)-1]
	for _, e := range slices.Backward(m.entries) {
		if e.ID == m.Entry {
			return e
		}
	}
	for _, e := range slices.Backward(m.entries) {
		if e.Outcome == provisioning.Failure || e.Outcome == provisioning.Warning {
			return e
		}
	}
	return last
}

func (m *maker) writeConnections() error {
	for _, id := range slices.Sorted(maps.Keys(m.connections)) {
		c := m.connections[id]
		out := Connection{Name: c.Name, InForce: c.SettingsVersion}
		versions := map[int64]bool{c.SettingsVersion: true}
		for _, e := range m.entries {
			if e.Connection == id {
				versions[e.SettingsVersion] = true
			}
		}
		for _, v := range slices.Sorted(maps.Keys(versions)) {
			s, err := m.settings(c.Name, v)
			if err != nil {
				return err
			}
			document, err := m.names.settings(s.Settings)
			if err != nil {
				return err
			}
			out.Settings = append(out.Settings, Settings{v, s.At, encode(document)})
		}
		health, err := m.Service.Health(m.ctx, m.Tenant, c.Name)
		if err != nil {
			return err
		}
		out.Health = m.health(health)
		m.pack.Connections = append(m.pack.Connections, out)
	}
	return nil
}

func (m *maker) settings(connection string, version int64) (provisioning.SettingsVersion, error) {
	if version == 0 {
		return provisioning.SettingsVersion{Settings: provisioning.DefaultSettings()}, nil
	}
	return m.Service.SettingsVersion(m.ctx, m.Tenant, connection, version)
}

func (m *maker) health(h provisioning.Health) *Health {
	out := Health{Level: string(h.Level), Findings: []string{}, Last: h.Hearing.Last, Succeeded: h.Hearing.Succeeded, Requests: h.Requests.All(), Overdue: h.Overdue}
	for _, f := range h.Findings {
		f.Reason.Args = m.names.arguments(f.Reason.Args)
		out.Findings = append(out.Findings, f.String())
	}
	return &out
}
