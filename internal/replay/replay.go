// Package replay evaluates a captured request again: with the same code, against the tenant as it was when the request
// came, under the settings of then, of now, or others. It writes nothing and shows what would come out otherwise.
package replay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"meibo/internal/auth"
	"meibo/internal/capture"
	"meibo/provisioning"
	"meibo/scim"
)

// Options are what a Replayer needs.
type Options struct {
	Store   provisioning.Store
	Service *provisioning.Service
	// Exchange reads a captured request. NotFound.
	Exchange func(ctx context.Context, tenant, correlation string) (capture.Exchange, error)
	// Endpoint serves SCIM for one caller on a Service, at an address without what follows the host; "" for that of the server.
	Endpoint func(s *provisioning.Service, caller auth.Caller, address string) http.Handler
}

// Replayer replays. It is safe for concurrent use.
type Replayer struct{ Options }

// New returns a Replayer.
func New(o Options) *Replayer { return &Replayer{o} }

// Under says under which settings a request is evaluated.
type Under struct {
	Now   bool                   // those in force now; else those that decided then
	Draft *provisioning.Settings // these; nil for none
}

// Result is what a replay came to.
type Result struct {
	Entry    provisioning.Entry // of the request
	Settings string             // under which it was evaluated: "then", "now" or "draft"
	Status   Pair[int]
	Answer   []Line // in which the answers differ
	Entries  []Difference
}

// Same reports whether all is as it was.
func (r *Result) Same() bool {
	return r.Status.Recorded == r.Status.Replayed && len(r.Answer) == 0 && len(r.Entries) == 0
}

// Pair is something as it was recorded and as it came out again.
type Pair[T any] struct {
	Recorded T `json:"recorded"`
	Replayed T `json:"replayed"`
}

// Line is a difference of two answers: a top-level attribute, or "" for the whole, with its JSON; nil for nothing.
type Line struct {
	Path string `json:"path"`
	Pair[json.RawMessage]
}

// Difference is a field in which an entry of the request differs.
type Difference struct {
	Entry int    // number of the entry among those of the request, from 0
	Path  string // name of the field; for a difference of an attribute "diff." and its path
	Pair[any]
}

// Replay evaluates the request of an entry. NotFound for the entry, or where the request was not captured; Invalid for what
// cannot be replayed: an entry that no SCIM request made, or a body that was not kept whole.
func (r *Replayer) Replay(ctx context.Context, tenant, entry string, under Under) (Result, error) {
	recorded, asked, err := r.recorded(ctx, tenant, entry)
	if err != nil {
		return Result{}, err
	}
	x, err := r.Exchange(ctx, tenant, asked.Correlation)
	if err != nil {
		return Result{}, uncaptured(err)
	}
	if !x.Request.IsWhole() {
		return Result{}, &provisioning.Error{Kind: provisioning.Invalid, Detail: "the request was not kept whole (" + x.Request.Note + "), so it cannot be replayed"}
	}
	caller, settings, err := r.caller(ctx, tenant, asked, under)
	if err != nil {
		return Result{}, err
	}
	past := provisioning.NewAsOf(r.Store, asked, settings)
	service := provisioning.New(provisioning.Options{Store: past, Now: func() time.Time { return asked.At }, NewID: ids(asked)})
	answer := &recording{header: http.Header{}}
	request, err := requestOf(ctx, x)
	if err != nil {
		return Result{}, err
	}
	r.Endpoint(service, caller, address(x)).ServeHTTP(answer, request)

	out := Result{Entry: asked, Settings: under.name(), Status: Pair[int]{x.Status, answer.status}}
	if x.Answer.IsWhole() {
		out.Answer = compareAnswers(x.Answer.Text, answer.body.Bytes())
	}
	out.Entries = compareEntries(recorded, past.Entries())
	return out, nil
}

func (u Under) name() string {
	switch {
	case u.Draft != nil:
		return "draft"
	case u.Now:
		return "now"
	default:
		return "then"
	}
}

func uncaptured(err error) error {
	if provisioning.KindOf(err) == provisioning.NotFound {
		return ErrNotCaptured
	}
	return err
}

// ErrNotCaptured is NotFound for the request of an entry.
var ErrNotCaptured = &provisioning.Error{Kind: provisioning.NotFound, Attribute: "id",
	Detail: "the request was not captured, or its capture is gone: captures are kept for capture_retention, and only where there is a secret_key"}

// maxEntries is more than one request writes. A run writes one for each resource, with one correlation.
const maxEntries = 100

// recorded are the entries of a request, in the order in which they were written, and the one that has the request.
func (r *Replayer) recorded(ctx context.Context, tenant, id string) (all []provisioning.Entry, asked provisioning.Entry, err error) {
	read := func(q provisioning.EntryQuery) (out []provisioning.Entry, err error) {
		err = r.Service.Entries(ctx, tenant, q, func(e provisioning.Entry) error {
			out = append(out, e)
			return nil
		})
		return out, err
	}
	found, err := read(provisioning.EntryQuery{ID: id})
	if err != nil {
		return nil, asked, err
	}
	if len(found) == 0 {
		return nil, asked, &provisioning.Error{Kind: provisioning.NotFound, Attribute: "id", Detail: "there is no entry with that id"}
	}
	if found[0].Correlation != "" {
		all, err = read(provisioning.EntryQuery{Correlation: found[0].Correlation, Limit: maxEntries})
	}
	slices.SortFunc(all, func(a, b provisioning.Entry) int { return strings.Compare(a.ID, b.ID) })
	for _, e := range all {
		if e.Request != nil && e.Request.Dialect != "" && e.Connection != 0 {
			return all, e, err
		}
	}
	if err == nil {
		err = &provisioning.Error{Kind: provisioning.Invalid, Attribute: "id", Detail: "no request of a client made that entry, so there is none to replay"}
	}
	return nil, asked, err
}

// caller is who sent the request, with the settings under which it is evaluated; those are nil for the default ones.
func (r *Replayer) caller(ctx context.Context, tenant string, e provisioning.Entry, under Under) (auth.Caller, *provisioning.SettingsVersion, error) {
	caller := auth.Caller{Tenant: tenant, Hint: strings.TrimPrefix(e.Actor, "token …")}
	connections, err := r.Service.Connections(ctx, tenant)
	if err != nil {
		return caller, nil, err
	}
	i := slices.IndexFunc(connections, func(c provisioning.Connection) bool { return c.ID == e.Connection })
	if i < 0 {
		return caller, nil, &provisioning.Error{Kind: provisioning.NotFound, Detail: fmt.Sprintf("the connection %q does not exist any more", e.ConnectionName)}
	}
	c := connections[i]
	version := e.SettingsVersion
	if under.Now {
		version = c.SettingsVersion
	}
	var settings *provisioning.SettingsVersion
	switch {
	case under.Draft != nil:
		if _, err := provisioning.NewRules(c.SettingsVersion+1, *under.Draft); err != nil {
			return caller, nil, &provisioning.Error{Kind: provisioning.Invalid, Attribute: "settings", Detail: err.Error(), Err: err}
		}
		settings = &provisioning.SettingsVersion{Connection: c.ID, Version: c.SettingsVersion + 1, Settings: *under.Draft}
	case version == 0:
		c.Settings = provisioning.DefaultConnectionSettings()
	default:
		v, err := r.Service.SettingsVersion(ctx, tenant, c.Name, version)
		if err != nil {
			return caller, nil, err
		}
		settings = &v
	}
	c.SettingsVersion = 0
	if settings != nil {
		c.Settings, c.SettingsVersion = settings.Settings.Protocol, settings.Version
	}
	c.Settings.Paused, c.DebugUntil = false, time.Time{}
	caller.Connection = c
	return caller, settings, nil
}

// ids gives a new resource the id that it got, and whatever else needs one any.
func ids(e provisioning.Entry) func() string {
	first := e.ResourceID
	return func() string {
		id := first
		if first = ""; id == "" || e.Action != provisioning.ActionCreate {
			return uuid.Must(uuid.NewV7()).String()
		}
		return id
	}
}

func requestOf(ctx context.Context, x capture.Exchange) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, x.Method, x.Target, bytes.NewReader(x.Request.Text))
	if err != nil {
		return nil, err
	}
	request.RequestURI = x.Target
	for name, value := range x.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Authorization", "Bearer replay")
	return request, nil
}

// address is where the server was when it answered, so that an answer is not another one for having moved since; "" where
// the answer does not tell.
func address(x capture.Exchange) string {
	type located struct {
		Meta struct{ Location string }
	}
	var body struct {
		located
		Resources []located
	}
	_ = json.Unmarshal(x.Answer.Text, &body) // an answer that is no JSON tells nothing
	location := cmp.Or(x.Answered["Location"], body.Meta.Location)
	if location == "" && len(body.Resources) > 0 {
		location = body.Resources[0].Meta.Location
	}
	base, _, found := strings.Cut(location, "/t/"+x.Tenant+"/scim/v2")
	if !found {
		return ""
	}
	return base
}

// recording takes an answer.
type recording struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recording) Header() http.Header { return r.header }

func (r *recording) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recording) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

var _ io.Writer = (*recording)(nil)

// compareAnswers is in which attributes two answers differ, or that they do as a whole. What is equal byte for byte does not.
func compareAnswers(recorded, replayed []byte) (out []Line) {
	if bytes.Equal(recorded, replayed) {
		return nil
	}
	var was, is map[string]json.RawMessage
	if json.Unmarshal(recorded, &was) != nil || json.Unmarshal(replayed, &is) != nil {
		return []Line{{"", Pair[json.RawMessage]{quoted(recorded), quoted(replayed)}}}
	}
	for _, name := range names(was, is) {
		if !bytes.Equal(was[name], is[name]) {
			out = append(out, Line{name, Pair[json.RawMessage]{was[name], is[name]}})
		}
	}
	if out == nil { // their order, or the space between them
		out = []Line{{"", Pair[json.RawMessage]{quoted(recorded), quoted(replayed)}}}
	}
	return out
}

func quoted(text []byte) json.RawMessage {
	if len(text) == 0 {
		return nil
	}
	data, _ := json.Marshal(string(text)) // strings always marshal
	return data
}

func names[V any](maps ...map[string]V) (all []string) {
	for _, m := range maps {
		for name := range m {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// compareEntries is in what the entries of a request differ, but for their ids, times and the version of the settings.
func compareEntries(recorded, replayed []provisioning.Entry) (out []Difference) {
	for i := range max(len(recorded), len(replayed)) {
		var was, is map[string]any
		if i < len(recorded) {
			was = fieldsOf(&recorded[i])
		}
		if i < len(replayed) {
			is = fieldsOf(&replayed[i])
		}
		for _, path := range names(was, is) {
			if !reflect.DeepEqual(was[path], is[path]) {
				out = append(out, Difference{i, path, Pair[any]{was[path], is[path]}})
			}
		}
	}
	return out
}

// sorted is a delta in one order, since it is one of sets.
func sorted(d provisioning.MemberDelta) provisioning.MemberDelta {
	for _, ids := range []*[]string{&d.Remove, &d.AssertedRemove, &d.EffectiveRemove} {
		*ids = slices.Sorted(slices.Values(*ids))
	}
	for _, members := range []*[]scim.Member{&d.Add, &d.AssertedAdd, &d.EffectiveAdd} {
		*members = slices.SortedFunc(slices.Values(*members), func(a, b scim.Member) int { return strings.Compare(a.Value, b.Value) })
	}
	return d
}

// fieldsOf are what of an entry counts, as JSON values by name.
func fieldsOf(e *provisioning.Entry) map[string]any {
	fields := map[string]any{"action": e.Action, "outcome": e.Outcome, "resource": e.ResourceID, "name": e.ResourceName, "version": e.Version,
		"matchedBy": e.MatchedBy, "members": sorted(e.Members), "reason": e.Reason, "error": e.Error}
	for _, d := range e.Diff {
		fields["diff."+d.Path] = map[string]any{"old": d.Old, "new": d.New}
	}
	for name, v := range fields {
		data, err := json.Marshal(v)
		var plain any
		if err == nil {
			err = json.Unmarshal(data, &plain)
		}
		if fields[name] = plain; err != nil {
			fields[name] = fmt.Sprint(v)
		}
		if plain == nil {
			delete(fields, name)
		}
	}
	return fields
}
