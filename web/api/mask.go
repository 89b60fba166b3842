package api

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"meibo/provisioning"
	"meibo/scim"
)

// Who holds a key of the role support sees no personal values, unless it says why it must. All answers pass here on their way
// out, whoever made them: what is JSON, a line of JSON, an event or a row of CSV is taken apart, and a string stays as it is
// only where a key says that it is meibo's own, or where it looks like an id or a time. So what nobody thought of is masked.

// masked reports whether a role sees masks in the place of values.
func masked(role provisioning.KeyRole) bool { return role == provisioning.KeySupport }

// mask stands for values: equal ones look equal within a tenant, and nobody can tell what they are.
type mask struct {
	key    []byte
	tenant string
	own    map[string]bool // what meibo itself calls things: the words of all enumerations of the API's document
}

// maskSize is how many bytes of the hash a mask shows: few enough to be compared by eye, and so many that among a million values hardly
// any two look alike.
const maskSize = 6

// of is what stands for a value.
func (m mask) of(value string) string {
	if value == "" {
		return ""
	}
	h := hmac.New(sha256.New, m.key)
	_, _ = io.WriteString(h, m.tenant+"\x00"+value) // never fails
	return "k•••" + hex.EncodeToString(h.Sum(nil)[:maskSize])
}

// rule says whether a string under a key stays as it is.
type rule func(m mask, value string) bool

var (
	shapeID    = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	shapeTime  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(Z|[+-][0-9:]{5})$`)
	shapeCode  = regexp.MustCompile(`^[A-Za-z][A-Za-z.]{0,63}$`)
	shapeToken = regexp.MustCompile(`^token ….{1,8}$`) // who a client is, by the end of its token
	shapeSlug  = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	shapePath  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:$-]{0,200}$`)
	shapeNext  = regexp.MustCompile(patternOf(LogPaging{}, "Next"))
	shapeQuirk = regexp.MustCompile(`^[a-z]+(-[a-z]+)*( [a-z]+(-[a-z]+)*)*$`)             // one, or those of a step
	shapeMin   = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC$`) // as sentences have it
	shapeHex   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	shapeBare  = regexp.MustCompile(`^[A-Za-z0-9 ,.:…_-]{0,200}$`)
	quoted     = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|".*`) // as %q writes it, or to the end
)

// patternOf is the pattern that the document has for a parameter.
func patternOf(parameters any, field string) string {
	f, _ := reflect.TypeOf(parameters).FieldByName(field)
	return f.Tag.Get("pattern")
}

func shape(s *regexp.Regexp) rule { return func(_ mask, v string) bool { return s.MatchString(v) } }

func ownWord(m mask, v string) bool { return m.own[v] }

func always(mask, string) bool { return true }

// readable are the keys of meibo's own structures under which a string may stay, by the name of the key, or by that of the one
// around it and a dot, which comes first.
var readable = func() map[string]rule {
	all := map[string]rule{}
	add := func(r rule, keys ...string) {
		for _, k := range keys {
			all[k] = r
		}
	}
	add(func(m mask, v string) bool { return m.own[v] || shapeToken.MatchString(v) }, "initiatedBy.id", "initiatedBy.displayName", "actor")
	add(shape(regexp.MustCompile(`^(role [A-Za-z0-9_-]{1,40}|protected by (a person|the settings))$`)), "because")
	add(ownWord, "action", "cause", "errorCategory", "identityType", "initiatorType", "kind", "level", "mode", "outcome", "policy", "provisioningAction",
		"provisioningStepType", "state", "status", "takesTwo", "then", "type", "under", "verb")
	add(shape(shapeCode), "code", "counted", "dialect", "errorCode", "matchedBy", "method", "reason", "role", "asked", "without")
	add(shape(shapeQuirk), "quirks")
	add(shape(shapeSlug), "connection", "jobId", "tenantId", "tenant", "sourceSystem.id", "sourceSystem.displayName", "targetSystem.id", "targetSystem.displayName",
		"hint", "preset", "credential")
	add(shape(shapePath), "modifiedProperties.displayName", "diff.path", "changes.path", "answer.path", "entries.path", "rule.path", "guessed", "keys", "inputs.name",
		"provisioningSteps.name", "location", "attributes.path")
	add(shape(shapeBare), "spent", "of", "limit", "entries", "times", "version", "opened", "since", "until", "details.reason", "details.cause", "details.attributes",
		"details.connection", "details.status", "details.method", "details.matchedBy", "args.by")
	add(shape(shapeMin), "args.at")
	add(always, "recommendedAction", "sentence", "lacks", "title", "message", "description", "note")
	add(shape(shapeHex), "digest")
	add(shape(shapeNext), "next")
	all["errorInformation.reason"] = func(mask, string) bool { return false } // the client's words
	return all
}()

// documents are the keys of what clients wrote, and of what was made of it: below them no key counts.
var documents = map[string]bool{"attributes": true, "overrides": true, "asserted": true, "effective": true, "oldValue": true, "newValue": true, "old": true, "new": true,
	"recorded": true, "replayed": true, "json": true, "value": true, "headers": true, "answered": true, "candidates": true, "settings": true, "counts": true}

// place is where a string stands.
type place struct {
	around, key string
	document    bool
}

// below is the place of what is under a key of an object at p.
func (p place) below(key string) place {
	return place{p.key, key, p.document || documents[key] && p.key != "status"}
}

// string is a value as it may be seen.
func (m mask) string(p place, v string) string {
	if v == "" || shapeID.MatchString(v) || shapeTime.MatchString(v) {
		return v
	}
	if p.document {
		if m.own[v] {
			return v
		}
		return m.of(v)
	}
	switch p.key {
	case "path", "target", "what": // of a request
		if p.around == "request" || p.key != "path" || p.around == "" {
			return m.address(v)
		}
	case "detail", "text": // meibo's own sentences, which quote what is not
		if p.around == "" || p.around == "errors" || p.around == "fault" || p.around == "findings" {
			return m.sentence(v)
		}
	case "next":
		if id, err := hex.DecodeString(v); err == nil && (shapeID.Match(id) || bytes.HasPrefix(id, sealedToken)) {
			return v
		}
	}
	r, ok := readable[p.around+"."+p.key]
	if !ok {
		r, ok = readable[p.key]
	}
	if ok && r(m, v) {
		return v
	}
	return m.of(v)
}

// sentence is a sentence of meibo's own without what it quotes.
func (m mask) sentence(v string) string {
	return quoted.ReplaceAllStringFunc(v, func(q string) string {
		plain, err := strconv.Unquote(q)
		switch {
		case err != nil:
			plain = strings.Trim(q, `"`)
		case m.own[plain]:
			return q
		}
		return `"` + m.of(plain) + `"`
	})
}

// segments are those of addresses of the product.
var segments = map[string]bool{"": true, "t": true, "scim": true, "v2": true, "api": true, "v1": true, "Users": true, "Groups": true, "Bulk": true, "Me": true, "users": true, "groups": true,
	"log": true, "audit": true, "verify": true, "history": true, "members": true, "matters": true, "changes": true, "export": true, "keys": true, "tokens": true, "connections": true,
	"settings": true, "versions": true, "capture": true, "captures": true, "why": true, "stream": true, "summary": true, "jobs": true, "cycles": true, "health": true, "difference": true, "resolution": true}

// address is the address of a request without what somebody may have put into it.
func (m mask) address(v string) string {
	path, query, has := strings.Cut(v, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if !segments[part] && part != m.tenant && !shapeID.MatchString(part) {
			parts[i] = m.of(part)
		}
	}
	out := strings.Join(parts, "/")
	if has {
		out += "?" + m.of(query)
	}
	return out
}

// json is one JSON value as it may be seen, with its keys in their order. What is no JSON is masked whole.
func (m mask) json(data []byte, p place) []byte {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var out bytes.Buffer
	if err := m.value(d, &out, p); err != nil {
		out.Reset()
		writeJSON(&out, m.of(string(data)))
	}
	return out.Bytes()
}

func (m mask) value(d *json.Decoder, out *bytes.Buffer, p place) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		return m.inside(d, out, p, t)
	case string:
		writeJSON(out, m.string(p, t))
	case json.Number:
		if p.document && !p.isFigure() {
			writeJSON(out, m.of(t.String())) // as a number of an employee
			return nil
		}
		out.WriteString(t.String())
	default:
		writeJSON(out, t)
	}
	return nil
}

// isFigure reports whether a number in a document counts something.
func (p place) isFigure() bool { return p.around == "counts" }

// inside writes an object or an array, whose beginning was read.
func (m mask) inside(d *json.Decoder, out *bytes.Buffer, p place, begin json.Delim) error {
	out.WriteString(begin.String())
	for n := 0; d.More(); n++ {
		if n > 0 {
			out.WriteByte(',')
		}
		at := p
		if begin == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			key, _ := t.(string)
			writeJSON(out, m.name(p, key))
			out.WriteByte(':')
			at = p.below(key)
		}
		if err := m.value(d, out, at); err != nil {
			return err
		}
	}
	end, err := d.Token()
	if err == nil {
		out.WriteString(end.(json.Delim).String())
	}
	return err
}

// name is the name of a member of an object. Attributes have names that are no values; what else clients may have chosen is masked.
func (m mask) name(p place, key string) string {
	if !p.document || shapePath.MatchString(key) || strings.HasPrefix(key, "urn:") {
		return key
	}
	return m.of(key)
}

func writeJSON(out *bytes.Buffer, v any) {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings, booleans and null
	out.Truncate(out.Len() - 1)
}

// row is a row of CSV as it may be seen, by the titles of its columns; titles say what columns of the log's CSV are called in its JSON.
func (m mask) row(titles, cells []string) []string {
	out := slices.Clone(cells)
	for i, cell := range cells {
		title := ""
		if i < len(titles) {
			title = titles[i]
		}
		if title == "quirks" && cell != "" {
			out[i] = string(m.json([]byte(cell), csvPlaces[title]))
			continue
		}
		if strings.HasPrefix(cell, "{") || strings.HasPrefix(cell, "[") {
			out[i] = m.of(cell)
			continue
		}
		if _, err := json.Number(cell).Int64(); err == nil && figures[title] {
			continue
		}
		out[i] = m.string(csvPlaces[title], cell)
	}
	return out
}

// figures are columns that count.
var figures = map[string]bool{"version": true, "settingsVersion": true, "requestStatus": true, "microseconds": true}

// csvPlaces are where the columns of the log's CSV stand in its JSON; another column is one of a document.
var csvPlaces = func() map[string]place {
	all := map[string]place{"path": {around: "request", key: "path"}, "errorReason": {around: "errorInformation", key: "reason"},
		"initiatedBy": {around: "initiatedBy", key: "id"}}
	for _, title := range []string{"provisioningAction", "status", "reason", "identityType", "matchedBy", "errorCode", "errorCategory", "recommendedAction", "initiatorType",
		"method", "dialect", "quirks", "tenantId", "jobId"} {
		all[title] = place{key: title}
	}
	return all
}()

// maskedWriter masks what is written to it. It keeps what it cannot mask yet until it is closed.
type maskedWriter struct {
	http.ResponseWriter
	mask   mask
	whole  place // of one JSON value, or a line of them
	form   string
	rest   []byte   // of what was not written yet
	titles []string // of CSV
}

// The forms of an answer, by its medium.
const (
	formPlain  = "plain"
	formJSON   = "json"
	formLines  = "lines"
	formEvents = "events"
	formCSV    = "csv"
)

// Unwrap serves http.ResponseController.
func (w *maskedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *maskedWriter) WriteHeader(status int) {
	w.begin()
	w.ResponseWriter.WriteHeader(status)
}

func (w *maskedWriter) begin() {
	if w.form != "" {
		return
	}
	w.Header().Del("Content-Length")
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	switch media {
	case exportMedia["ndjson"]:
		w.form = formLines
	case exportMedia["csv"]:
		w.form = formCSV
	case eventMedia:
		w.form = formEvents
	case "application/openapi+json":
		w.form = formPlain
	case problemMedia:
		w.form, w.whole = formJSON, place{}
	default: // whatever else there may be is masked, or broken, but not seen
		w.form = formJSON
	}
}

// Write implements http.ResponseWriter.
func (w *maskedWriter) Write(p []byte) (int, error) {
	w.begin()
	if w.form == formPlain {
		return w.ResponseWriter.Write(p)
	}
	w.rest = append(w.rest, p...)
	if w.form == formJSON {
		return len(p), nil
	}
	var out []byte
	done := 0
	for n := w.end(w.rest); n > 0; n = w.end(w.rest[done:]) {
		out = append(out, w.masked(w.rest[done:done+n])...)
		done += n
	}
	if done == 0 {
		return len(p), nil
	}
	w.rest = w.rest[:copy(w.rest, w.rest[done:])]
	if _, err := w.ResponseWriter.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end is where the first line, or row, of some text ends; 0 while it is not there whole.
func (w *maskedWriter) end(text []byte) int {
	quotes := 0
	for i, b := range text {
		switch {
		case b == '"' && w.form == formCSV:
			quotes++
		case b == '\n' && quotes%2 == 0:
			return i + 1
		}
	}
	return 0
}

// masked is a line, or row, as it may be seen.
func (w *maskedWriter) masked(line []byte) []byte {
	text := bytes.TrimRight(line, "\r\n")
	end := line[len(text):]
	switch {
	case len(text) == 0:
		return line
	case w.form == formCSV:
		return w.maskedRow(line)
	case w.form == formEvents:
		data, ok := bytes.CutPrefix(text, []byte("data: "))
		if !ok { // an id, or a comment
			return line
		}
		return slices.Concat([]byte("data: "), w.mask.json(data, w.whole), end)
	default:
		return slices.Concat(w.mask.json(text, w.whole), end)
	}
}

func (w *maskedWriter) maskedRow(line []byte) []byte {
	const mark = "\ufeff"
	text, hasMark := strings.CutPrefix(string(line), mark)
	cells, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return []byte(w.mask.of(text) + "\r\n")
	}
	if w.titles == nil {
		w.titles = cells
		return line
	}
	var out bytes.Buffer
	if hasMark {
		out.WriteString(mark)
	}
	rows := csv.NewWriter(&out)
	rows.UseCRLF = bytes.HasSuffix(line, []byte("\r\n"))
	_ = rows.Write(w.mask.row(w.titles, cells)) // to memory
	rows.Flush()
	return out.Bytes()
}

// FlushError serves http.ResponseController: whole lines were written already.
func (w *maskedWriter) FlushError() error {
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// close writes what is left.
func (w *maskedWriter) close() {
	if len(w.rest) == 0 {
		return
	}
	out := w.rest
	if w.form == formJSON {
		out = append(w.mask.json(w.rest, w.whole), '\n')
	} else {
		out = w.masked(out)
	}
	_, _ = w.ResponseWriter.Write(out) // the client is gone if this fails
}

// unmaskKey is the parameter by which a person says why it must see values.
const unmaskKey = "unmask"

// plainReason is how a reason looks: within its bounds, without blanks around it.
var plainReason = regexp.MustCompile(fmt.Sprintf(`^\S.{%d,%d}\S$`, provisioning.MinUnmaskReason-2, provisioning.MaxUnmaskReason-2))

// unmaskParameter is declared for every address that people read.
func unmaskParameter() *huma.Param {
	return &huma.Param{Name: unmaskKey, In: "query", Schema: &huma.Schema{Type: huma.TypeString, Pattern: plainReason.String()},
		Description: "Why values must be seen: a key of the role support is answered with masks in their place without it. It goes into the audit trail before the answer. Other roles see values anyway."}
}

// takesUnmask reports whether an operation of those roles has that parameter.
func takesUnmask(roles []provisioning.KeyRole) bool { return slices.ContainsFunc(roles, masked) }

// unveil has a person who may not see values answered with masks, unless it says why it must see them: then the trail has
// that before anything is answered.
func (c *call) unveil(o *huma.Operation) error {
	roles, _ := o.Metadata[rolesKey].([]provisioning.KeyRole)
	r := c.echo.Request()
	query := r.URL.Query()
	why := query.Get(unmaskKey)
	hides := masked(c.holder.Key.Role)
	if why == "" || !takesUnmask(roles) || o.Path == "/openapi.json" {
		if hides {
			c.hide(o)
		}
		return nil
	}
	var err error
	if !plainReason.MatchString(why) {
		err = unmaskFault()
	} else if hides { // which refuses a reason that shows nothing
		err = c.Service.Unmask(c.context(), c.origin(), why)
	}
	if err != nil && provisioning.KindOf(err) == provisioning.Invalid {
		err = unmaskFault()
	}
	if err != nil {
		if hides {
			c.hide(o)
		}
		return err
	}
	c.unmask = why
	query.Del(unmaskKey)
	address := *r.URL
	address.RawQuery = query.Encode()
	again := *r
	again.URL = &address
	c.echo.SetRequest(&again)
	return nil
}

func unmaskFault() *Problem {
	p := newProblem(http.StatusUnprocessableEntity, codes[provisioning.Invalid], requestFaults[http.StatusUnprocessableEntity])
	p.Errors = []Fault{{Location: "query." + unmaskKey, Message: fmt.Sprintf("expected a reason of %d to %d characters", provisioning.MinUnmaskReason, provisioning.MaxUnmaskReason)}}
	return p
}

// errParts is what who may not see values is told that asks for parts of them.
var errParts = &provisioning.Error{Kind: provisioning.Forbidden,
	Detail: "whoever finds people by parts of values reads values by it, letter by letter: ask for whole values (eq), or say with unmask why values must be seen"}

// findsBy refuses a filter by parts of personal values to who may not see them and does not say why it must. What a caller knows
// whole finds people: who asks for that learns nothing.
func (c *call) findsBy(f scim.Filter) error {
	if c.hidden == nil || f == nil || wholeValues(f, false) {
		return nil
	}
	return errParts
}

// findsAmong is findsBy of a filter over users, groups or both. What is no filter of either is not its business.
func (c *call) findsAmong(filter string, types ...scim.ResourceType) error {
	for _, t := range types {
		if f, err := scim.ParseFilter(scim.Standard(t), filter); filter != "" && err == nil && c.findsBy(f) != nil {
			return errParts
		}
	}
	return nil
}

// looksAt is findsBy of the path of an attribute, which may have a filter.
func (c *call) looksAt(t scim.ResourceType, path string) error {
	p, err := scim.ParsePath(scim.Standard(t), path)
	if c.hidden == nil || err != nil || p.Filter == nil || wholeValues(p.Filter, true) {
		return nil
	}
	return errParts
}

// wholeValues reports whether a filter asks for whole values of what is personal, and no more; within is below an attribute.
func wholeValues(f scim.Filter, within bool) bool {
	switch f := f.(type) {
	case *scim.Logical:
		return !slices.ContainsFunc(f.Terms, func(term scim.Filter) bool { return !wholeValues(term, within) })
	case *scim.Not:
		return wholeValues(f.Term, within)
	case *scim.Present: // which masks show
		return f.Path.Filter == nil || wholeValues(f.Path.Filter, true)
	case *scim.ValuePath:
		return wholeValues(f.Term, true)
	case *scim.Compare:
		return (f.Op == scim.Eq || !within && f.Path.URN == "" && f.Path.Attr != nil && ownAttributes[f.Path.Attr.Name]) &&
			(f.Path.Filter == nil || wholeValues(f.Path.Filter, true))
	default:
		return false
	}
}

// ownAttributes are those whose values meibo makes.
var ownAttributes = map[string]bool{"id": true, "meta": true, "schemas": true, "active": true}

// hide has all that is answered from here on masked.
func (c *call) hide(o *huma.Operation) {
	m := mask{c.maskKey, c.tenant(), c.own()}
	c.hidden = &maskedWriter{ResponseWriter: c.echo.Response().Writer, mask: m, whole: place{document: o.OperationID == "exportDirectory"}}
	c.echo.Response().Writer = c.hidden
}

// ownWords are the words of all enumerations of the document, and those that reasons and settings are made of.
func ownWords(document []byte) map[string]bool {
	words := map[string]bool{"about:blank": true} // type of a problem
	for _, word := range []string{provisioning.CommandLine, provisioning.Schedule, provisioning.ActorRetention,
		provisioning.CauseDeactivated, provisioning.CauseDeleted, provisioning.CauseScope, provisioning.CauseMembers, provisioning.CauseRole, provisioning.CauseAgeing,
		string(provisioning.SuspendPolicy), string(provisioning.DeletePolicy), string(provisioning.HoldPolicy), string(provisioning.IgnorePolicy), string(provisioning.RemoveMembersPolicy)} {
		words[word] = true
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			list, _ := v["enum"].([]any)
			for _, word := range list {
				if s, ok := word.(string); ok {
					words[s] = true
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	var whole any
	if json.Unmarshal(document, &whole) == nil {
		walk(whole)
	}
	return words
}

// linkQuery has links lead to answers of the same kind.
func (c *call) linkQuery(q url.Values) {
	if c.unmask != "" {
		q.Set(unmaskKey, c.unmask)
	}
}
