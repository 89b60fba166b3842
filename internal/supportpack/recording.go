package supportpack

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"meibo/internal/exchange"
	"meibo/provisioning"
	"meibo/scim"
)

// before is a user or group that was there before a request that speaks of it, and that no request of the pack made.
type before struct {
	provisioning.Past
	members []string // of a group, that are in the recording
}

// maxBefore bounds what is made up to be there.
const maxBefore = 200

var anyID = regexp.MustCompile(uuidForm)

// gatherBefore reads what the requests speak of as it was when they came, so that they can be replayed.
func (m *maker) gatherBefore() error {
	there, n := map[string]bool{}, 0
	for i := range m.exchanges {
		x := &m.exchanges[i]
		for _, id := range m.mentioned(x) {
			if there[id] || n == maxBefore {
				continue
			}
			past, found, err := m.past(id, x.At.Add(-time.Microsecond))
			if err != nil {
				return err
			}
			if found {
				x.befores = append(x.befores, before{Past: past})
				there[id] = true
				n++
			}
		}
		slices.SortStableFunc(x.befores, func(a, b before) int { return strings.Compare(string(b.Type), string(a.Type)) }) // users first
		for j := range x.befores {
			x.befores[j].join(there)
		}
		if x.Method == http.MethodPost && x.Status == http.StatusCreated {
			there[x.entry.ResourceID] = true
		}
	}
	if n == maxBefore {
		m.note("the recording makes up %d users and groups that were there before, and no more", maxBefore)
	}
	return nil
}

// past is the user or group with an id, as it was, if a client of the pack saw it then.
func (m *maker) past(id string, at time.Time) (provisioning.Past, bool, error) {
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		past, err := m.Service.At(m.ctx, m.Tenant, provisioning.PastQuery{Type: t, ID: id, At: at, Members: t == scim.Group})
		switch kind := provisioning.KindOf(err); {
		case err != nil && (kind == provisioning.NotFound || kind == provisioning.Gone):
		case err != nil:
			return past, false, err
		default:
			return past, past.Visible && m.connections[past.Connection].Name != "", nil
		}
	}
	return provisioning.Past{}, false, nil
}

// join keeps the members that are there.
func (b *before) join(there map[string]bool) {
	for _, member := range b.Members {
		if member.Asserted && there[member.Value] {
			b.members = append(b.members, member.Value)
		}
	}
}

// mentioned are the ids that stand in a request, and those of who may have had a name that was refused as taken.
func (m *maker) mentioned(x *exchanged) (ids []string) {
	for _, text := range []string{x.Target, string(x.Request.Text)} {
		for _, id := range anyID.FindAllString(text, -1) {
			ids = append(ids, strings.ToLower(id))
		}
	}
	if x.Status == http.StatusConflict {
		body, _ := decode(x.Request.Text) // what is no JSON has no texts
		for _, name := range texts(body, nil) {
			ids = append(ids, m.holders(name, x.At)...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// maxNames bounds the texts of a refused request of which each may be the name that was taken.
const maxNames = 50

// texts are those of a JSON value.
func texts(v any, found []string) []string {
	switch v := v.(type) {
	case string:
		if v != "" && len(found) < maxNames {
			found = append(found, v)
		}
	case []any:
		for _, e := range v {
			found = texts(e, found)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = texts(v[name], found)
		}
	}
	return found
}

// holders are who may have had a name before an instant.
func (m *maker) holders(name string, at time.Time) (ids []string) {
	q := provisioning.EntryQuery{Name: name, Until: at, Limit: maxBefore}
	_ = m.Service.Entries(m.ctx, m.Tenant, q, func(e provisioning.Entry) error { // at worst the recording lacks somebody
		if e.Version > 0 {
			ids = append(ids, e.ResourceID)
		}
		return nil
	})
	return ids
}

// writeRecording writes the conversation.
func (m *maker) writeRecording() error {
	if len(m.exchanges) == 0 {
		return nil
	}
	r := recording{maker: m, ids: map[string]string{}}
	first := m.connections[m.exchanges[0].Connection]
	r.first = first.Name
	for _, id := range slices.Sorted(maps.Keys(m.connections)) {
		c := m.connections[id]
		line := exchange.Connection{Name: c.Name, Settings: map[string]string{"patch-response": string(c.Settings.PatchResponse),
			"unknown-members": string(c.Settings.UnknownMembers), "unique-group-names": yesOrNo(c.Settings.UniqueGroupNames)}}
		if c.Name == r.first {
			line.Name = ""
		}
		r.out.Connections = append(r.out.Connections, line)
	}
	for _, x := range m.exchanges {
		for _, b := range x.befores {
			r.before(b, x.entry.SettingsVersion)
		}
		r.exchange(x)
	}
	text, err := exchange.Write(r.out)
	m.pack.Recording = text
	return err
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// recording is a conversation that grows. Ids that the server gave are variables in it, since another one will give others.
type recording struct {
	*maker
	out   exchange.Conversation
	first string            // connection that speaks first
	ids   map[string]string // variables by pseudonym
}

func (r *recording) add(t *exchange.Turn, q Request) {
	if q.Connection != r.first {
		t.Speaker = q.Connection
	}
	t.Target, t.Body, t.Answer = r.variables(t.Target), r.variables(t.Body), r.variables(t.Answer)
	r.out.Turns = append(r.out.Turns, t)
	r.pack.Requests = append(r.pack.Requests, q)
}

func (r *recording) variables(text string) string {
	return anyID.ReplaceAllStringFunc(text, func(id string) string {
		if name, known := r.ids[strings.ToLower(id)]; known {
			return "{{" + name + "}}"
		}
		return id
	})
}

// keep has a resource's id be a variable from here on.
func (r *recording) keep(t scim.ResourceType, pseudonym string) exchange.Pair {
	name := strings.ToLower(string(t)) + strconv.Itoa(len(r.ids)+1)
	r.ids[strings.ToLower(pseudonym)] = name
	return exchange.Pair{Name: name, Value: "id"}
}

// before makes up the request that would have made what was there.
func (r *recording) before(b before, settings int64) {
	document, err := decode(b.Asserted)
	attributes, isObject := document.(map[string]any)
	if err != nil || !isObject {
		return
	}
	for _, derived := range []string{"id", "meta", "groups", "members"} {
		delete(attributes, derived)
	}
	attributes["schemas"] = []any{"urn:ietf:params:scim:schemas:core:2.0:" + string(b.Type)}
	var members []any
	for _, id := range b.members {
		members = append(members, map[string]any{"value": id})
	}
	if members != nil {
		attributes["members"] = members
	}
	body := string(encode(r.names.document("", attributes)))
	r.add(&exchange.Turn{Remarks: []string{"Was there before; made up from the log."}, Method: http.MethodPost, Target: "/" + string(b.Type) + "s", Body: body,
		Status: http.StatusCreated, Keep: []exchange.Pair{r.keep(b.Type, r.names.value(b.ID))}}, Request{Connection: r.connections[b.Connection].Name, SettingsVersion: settings})
}

// keptHeaders are those of a request that matter to its answer, and whose values can tell of nobody.
var keptHeaders = map[string]*regexp.Regexp{
	"Content-Type": regexp.MustCompile(`^(?i:application/(scim\+)?json)(; ?charset=(?i:utf-8))?$`),
	"Accept":       regexp.MustCompile(`^(?i:\*/\*|application/(scim\+)?json)$`),
	"If-Match":     etag, "If-None-Match": etag,
}

func (r *recording) exchange(x exchanged) {
	q := Request{Entry: x.entry.ID, Correlation: x.Correlation, At: x.At, Connection: r.connections[x.Connection].Name, SettingsVersion: x.entry.SettingsVersion}
	t := &exchange.Turn{Method: x.Method, Target: r.names.target(x.Target), Status: x.Status,
		Remarks: []string{fmt.Sprintf("%s, entry %s, took %v, settings version %d", x.At.Format(time.RFC3339Nano), x.entry.ID, x.Duration, q.SettingsVersion)}}
	for _, name := range slices.Sorted(maps.Keys(keptHeaders)) {
		if value := x.Headers[name]; value != "" && keptHeaders[name].MatchString(value) {
			t.Headers = append(t.Headers, exchange.Header{Name: name, Value: value})
		}
	}
	if len(x.Request.Text) > 0 {
		body, err := decode(x.Request.Text)
		if err != nil {
			r.note("the request of entry %s is left out: its body is no JSON", x.entry.ID)
			return
		}
		t.Body = string(encode(r.names.document("", body)))
	}
	r.answer(t, x)
	r.journal(t, x)
	r.add(t, q)
}

// answer adds what was answered, but for what another server answers otherwise.
func (r *recording) answer(t *exchange.Turn, x exchanged) {
	body, err := decode(x.Answer.Text)
	answer, isObject := body.(map[string]any)
	if err != nil || !isObject || !x.Answer.IsWhole() {
		return
	}
	id, _ := answer["id"].(string)
	pseudonym := r.names.value(id)
	if x.Method == http.MethodPost && x.Status == http.StatusCreated && uuidOnly.MatchString(id) && r.ids[pseudonym] == "" {
		t.Keep = append(t.Keep, r.keep(x.entry.ResourceType, pseudonym))
	}
	if detail, failed := answer["detail"].(string); failed {
		t.Remarks = append(t.Remarks, "Answered: "+oneLine(r.names.sentence(detail)))
		answer["detail"] = ""
	}
	delete(answer, "meta")
	safe := r.names.document("", answer).(map[string]any)
	if _, failed := answer["detail"]; failed {
		safe["detail"] = "<any>"
	}
	t.Answer = string(encode(safe))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// journal adds what was decided.
func (r *recording) journal(t *exchange.Turn, x exchanged) {
	for _, e := range r.entries {
		if e.Correlation != x.Correlation {
			continue
		}
		line := exchange.Entry{Action: string(e.Action), Outcome: string(e.Outcome), Fields: []exchange.Pair{{Name: "reason", Value: e.Reason.Code}}}
		if e.ID != x.entry.ID {
			t.Beside = append(t.Beside, line)
			continue
		}
		line.Fields = append(line.Fields, exchange.Pair{Name: "dialect", Value: e.Request.Dialect},
			exchange.Pair{Name: "quirks", Value: strings.Join(slices.Sorted(slices.Values(e.Request.Quirks)), ",")}, exchange.Pair{Name: "matched", Value: e.MatchedBy})
		if e.Error != nil {
			line.Fields = append(line.Fields, exchange.Pair{Name: "error", Value: e.Error.Code})
		}
		t.Journal = &line
	}
}
