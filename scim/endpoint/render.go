package endpoint

import (
	"bufio"
	"bytes"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"meibo/provisioning"
	"meibo/scim"
)

// view is how much of a resource an answer shows (RFC 7644 §3.9).
type view struct {
	def  *scim.Definition
	proj scim.Projection
	// whole: the stored document is shown as it is, only derived attributes may be left out.
	whole                    bool
	members, groups, manager bool
}

// view reads attributes and excludedAttributes.
func (c *call) view(def *scim.Definition) (view, error) {
	params, err := c.parameters()
	if err != nil {
		return view{}, err
	}
	proj, err := scim.ParseProjection(def, params["attributes"], params["excludedattributes"])
	if err != nil {
		return view{}, err
	}
	v := view{def: def, proj: proj, whole: proj.All()}
	if def.Type == scim.Group {
		v.members = proj.Includes("members")
		v.whole = v.whole || params["attributes"] == "" && params["excludedattributes"] == "members"
	} else {
		v.groups = proj.Includes("groups")
		v.manager = proj.Includes(scim.EnterpriseUserSchema)
	}
	return v, nil
}

func (v view) references() provisioning.References {
	return provisioning.References{Groups: v.groups, Manager: v.manager}
}

// answerStored answers with a resource as it is stored now.
func (c *call) answerStored(v view, id string) error {
	q := provisioning.ResourceQuery{Scope: c.scope(v.def.Type), ID: id, References: v.references(), Brief: true}
	if v.members && !c.fewMembers {
		if err := c.hold(c.streams); err != nil {
			return err
		}
	}
	return c.Service.Get(c.context(), c.caller.Tenant, q, v.members, func(r provisioning.Resource, rows provisioning.MemberRows) error {
		if c.notModified(r) {
			return c.status(http.StatusNotModified, r.Version)
		}
		if !v.members {
			return c.answer(v, r)
		}
		return c.stream(func(w *bufio.Writer) error {
			next, stop := iter.Pull2(pull(rows))
			defer stop()
			members := &memberReader{next: next}
			members.advance()
			return c.writeResource(w, v, r, members)
		}, r.Version)
	})
}

// answerWritten answers with a resource as a write left it. What a write does not learn is read
// again: the members of a group, and who a new manager is.
func (c *call) answerWritten(v view, r provisioning.Resource) error {
	if !v.members && (!v.manager || r.Manager.ID == "" || r.Manager.Display != "") {
		return c.answer(v, r)
	}
	return c.answerAgain(v, r)
}

// answerAgain answers with what is stored by now of a resource that was written.
func (c *call) answerAgain(v view, r provisioning.Resource) error {
	c.letGo() // the body is done with
	err := c.answerStored(v, r.ID)
	if err == nil || c.echo.Response().Committed {
		return err
	}
	c.Log.Warn("a write is answered as it was, not as it is stored", zap.String("correlationId", c.correlation), zap.Error(err))
	// The write is done, whatever became of the resource since.
	v.members = false
	return c.answer(v, r)
}

// notModified reports whether the client of a GET has this version already.
func (c *call) notModified(r provisioning.Resource) bool {
	req := c.echo.Request()
	tags := strings.Join(req.Header.Values("If-None-Match"), ",")
	return tags != "" && (req.Method == http.MethodGet || req.Method == http.MethodHead) && matches(tags, r.Version)
}

func (c *call) status(code int, version int64) error {
	c.echo.Response().Header().Set("ETag", etag(version))
	c.echo.Response().WriteHeader(code)
	return nil
}

func (c *call) noContent() error {
	c.echo.Response().WriteHeader(http.StatusNoContent)
	return nil
}

// answer answers with a resource that lists no members.
func (c *call) answer(v view, r provisioning.Resource) error {
	return c.stream(func(w *bufio.Writer) error { return c.writeResource(w, v, r, nil) }, r.Version)
}

func (c *call) send(status int, body []byte) error {
	h := c.echo.Response().Header()
	h["Content-Type"] = scimMedia
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.echo.Response().WriteHeader(status)
	_, err := c.write(body)
	return err
}

// write writes a part of the answer's body.
func (c *call) write(p []byte) (int, error) {
	if c.kept != nil {
		c.kept.answer(c.echo.Response().Status, p)
	}
	return c.echo.Response().Write(p)
}

// scimMedia is the header's value, shared by all answers.
var scimMedia = []string{contentType}

// pieces are the buffers of answers: large enough for most, and a bound for the others.
var pieces = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 32<<10) }}

// stream answers piece by piece: a large group is never held in memory. An answer of one piece says
// how long it is.
func (c *call) stream(write func(*bufio.Writer) error, version int64) error {
	h := c.echo.Response().Header()
	h["Content-Type"] = scimMedia
	if version > 0 {
		h.Set("ETag", etag(version))
	}
	late := &lateWriter{c: c}
	w := pieces.Get().(*bufio.Writer)
	w.Reset(late)
	defer func() {
		w.Reset(nil) // so that the buffer keeps nothing of the request alive
		pieces.Put(w)
	}()
	if err := write(w); err != nil {
		return err
	}
	if !c.echo.Response().Committed {
		late.whole = true
		h.Set("Content-Length", strconv.Itoa(w.Buffered()))
	}
	return w.Flush()
}

// lateWriter sends the status with the first full buffer, so that what fails before is still
// answered as an error.
type lateWriter struct {
	c     *call
	whole bool      // the answer is a single piece
	last  time.Time // when the whole answer must have been read
}

func (w *lateWriter) Write(p []byte) (int, error) {
	if r := w.c.echo.Response(); !r.Committed {
		r.WriteHeader(w.c.success)
	}
	if !w.whole {
		w.extend()
	}
	return w.c.write(p)
}

// A client that reads slower than this gives up its answer: it holds a snapshot of the database.
const (
	pieceTimeout  = 20 * time.Second // for 32 KiB
	answerTimeout = 5 * time.Minute
)

// extend gives the client time for the next piece.
func (w *lateWriter) extend() {
	now := time.Now()
	deadline := now.Add(pieceTimeout)
	if w.last.IsZero() {
		w.last = now.Add(answerTimeout)
	}
	if deadline.After(w.last) {
		deadline = w.last
	}
	_ = http.NewResponseController(w.c.echo.Response()).SetWriteDeadline(deadline) // as for reading
}

// writePage writes a ListResponse (RFC 7644 §3.4.2).
func (c *call) writePage(v view, start int, p provisioning.Page, rows provisioning.MemberRows) error {
	c.success = http.StatusOK
	return c.stream(func(w *bufio.Writer) error {
		b := w.AvailableBuffer()
		b = append(b, `{"schemas":["`+scim.ListResponseSchema+`"],"totalResults":`...)
		b = strconv.AppendInt(b, int64(p.Total), 10)
		b = append(b, `,"startIndex":`...)
		b = strconv.AppendInt(b, int64(start), 10)
		b = append(b, `,"itemsPerPage":`...)
		b = strconv.AppendInt(b, int64(len(p.Resources)), 10)
		b = append(b, `,"Resources":[`...)
		_, _ = w.Write(b) // bufio keeps the error for Flush
		var members *memberReader
		if rows != nil {
			next, stop := iter.Pull2(pull(rows))
			defer stop()
			members = &memberReader{next: next}
			members.advance()
		}
		for i, r := range p.Resources {
			if i > 0 {
				_ = w.WriteByte(',')
			}
			if err := c.writeResource(w, v, r, members); err != nil {
				return err
			}
		}
		_, err := w.WriteString(`]}`)
		return err
	}, 0)
}

// writeResource writes one resource; members gives the rows of groups, page by page, or is nil.
func (c *call) writeResource(w *bufio.Writer, v view, r provisioning.Resource, members *memberReader) error {
	doc := r.Asserted
	if r.Manager.Display != "" {
		doc = c.withManager(doc, r.Manager)
	}
	if !v.whole {
		projected, err := c.project(v, r, doc)
		if err != nil {
			return err
		}
		doc = projected
	}
	_, _ = w.Write(doc[:len(doc)-1])
	if v.whole {
		_, _ = w.Write(c.appendDerived(w.AvailableBuffer(), v, r))
	}
	if members != nil {
		if err := c.writeMembers(w, v, r.ID, members); err != nil {
			return err
		}
	}
	return w.WriteByte('}')
}

// appendDerived appends what a resource shows beside its document: id, groups, meta.
func (c *call) appendDerived(b []byte, v view, r provisioning.Resource) []byte {
	b = append(b, `,"id":"`...)
	b = append(b, r.ID...)
	b = append(b, '"')
	if v.groups && len(r.Groups) > 0 {
		b = append(b, `,"groups":[`...)
		for i, g := range r.Groups {
			if i > 0 {
				b = append(b, ',')
			}
			b = c.appendReference(b, reference{value: g.ID, of: scim.Group, display: g.Display, kind: "direct"})
		}
		b = append(b, ']')
	}
	b = append(b, `,"meta":{"resourceType":"`...)
	b = append(b, r.Type...)
	b = append(b, `","created":"`...)
	b = appendTime(b, r.Created)
	b = append(b, `","lastModified":"`...)
	b = appendTime(b, r.Modified)
	b = append(b, `","location":`...)
	b = scim.AppendString(b, c.location(r.Type, r.ID))
	b = append(b, `,"version":`...)
	b = scim.AppendString(b, etag(r.Version))
	return append(b, '}')
}

const timeFormat = "2006-01-02T15:04:05.000000Z"

func appendTime(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, timeFormat) }

// reference is an element of a user's groups (RFC 7643 §4.1.2) or a group's members (§4.2).
type reference struct {
	value   string
	of      scim.ResourceType // what it refers to; "" where that is not known, and then it has no address
	display string
	kind    string // its type; "" for none
}

func (c *call) appendReference(b []byte, r reference) []byte {
	b = append(b, `{"value":`...)
	b = scim.AppendString(b, r.value)
	for _, part := range [...]struct{ name, value string }{{`,"$ref":`, c.address(r)}, {`,"display":`, r.display}, {`,"type":`, r.kind}} {
		if part.value != "" {
			b = append(b, part.name...)
			b = scim.AppendString(b, part.value)
		}
	}
	return append(b, '}')
}

// address is the location of what a reference refers to; "" where it is not known.
func (c *call) address(r reference) string {
	if r.of == "" {
		return ""
	}
	return c.location(r.of, r.value)
}

// element is a reference as a value to be projected.
func (c *call) element(r reference) map[string]any {
	element := map[string]any{"value": r.value}
	for _, part := range [...]struct{ name, value string }{{"$ref", c.address(r)}, {"display", r.display}, {"type", r.kind}} {
		if part.value != "" {
			element[part.name] = part.value
		}
	}
	return element
}

// withManager adds what is derived of a manager to the document: where it is and what it is
// called (RFC 7643 §4.3). A client that sent a $ref reads its own.
func (c *call) withManager(doc []byte, m provisioning.Reference) []byte {
	// The first such key is the extension: no core attribute holds it, what nobody registered follows.
	extension := bytes.Index(doc, []byte(`"`+scim.EnterpriseUserSchema+`":{`))
	if extension < 0 {
		return doc
	}
	value := scim.AppendString([]byte(`"manager":{"value":`), m.ID)
	at := bytes.Index(doc[extension:], append(value, '}'))
	if at < 0 {
		return doc
	}
	end := extension + at + len(value)
	out := make([]byte, 0, len(doc)+len(m.Display)+200)
	out = append(out, doc[:end]...)
	out = append(out, `,"$ref":`...)
	out = scim.AppendString(out, c.location(scim.User, m.ID))
	out = append(out, `,"displayName":`...)
	out = scim.AppendString(out, m.Display)
	return append(out, doc[end:]...)
}

// project gives the document of a resource with only the attributes that were asked for, the
// derived ones among them.
func (c *call) project(v view, r provisioning.Resource, doc []byte) ([]byte, error) {
	attrs, err := v.def.Decode(doc)
	if err != nil {
		return nil, err
	}
	attrs["id"] = r.ID
	attrs["meta"] = map[string]any{
		"resourceType": string(r.Type), "location": c.location(r.Type, r.ID), "version": etag(r.Version),
		"created": r.Created.UTC().Format(timeFormat), "lastModified": r.Modified.UTC().Format(timeFormat),
	}
	if v.groups && len(r.Groups) > 0 {
		groups := make([]any, len(r.Groups))
		for i, g := range r.Groups {
			groups[i] = c.element(reference{value: g.ID, of: scim.Group, display: g.Display, kind: "direct"})
		}
		attrs["groups"] = groups
	}
	return v.def.Encode(v.proj.Apply(attrs)), nil
}

var errStopped = errors.New("no more rows are wanted")

// memberReader reads the rows of several groups in the order in which their groups are written.
type memberReader struct {
	next func() (provisioning.GroupMember, error, bool)
	row  provisioning.GroupMember
	err  error
	ok   bool
}

func (m *memberReader) advance() { m.row, m.err, m.ok = m.next() }

// pull turns the store's callback into a sequence.
func pull(rows provisioning.MemberRows) iter.Seq2[provisioning.GroupMember, error] {
	return func(yield func(provisioning.GroupMember, error) bool) {
		err := rows(func(m provisioning.GroupMember) error {
			if !yield(m, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(provisioning.GroupMember{}, err)
		}
	}
}

// writeMembers writes the members of one group; a group without any has no such attribute.
func (c *call) writeMembers(w *bufio.Writer, v view, group string, m *memberReader) error {
	opening := `,"members":[`
	for ; m.ok && m.err == nil && m.row.Group == group; m.advance() {
		b := append(w.AvailableBuffer(), opening...)
		b, shown := c.appendMember(b, v, m.row)
		if !shown {
			continue
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		opening = ","
	}
	if opening == "," {
		_ = w.WriteByte(']')
	}
	return m.err
}

// appendMember appends what of a member is shown, if anything is left of it.
func (c *call) appendMember(b []byte, v view, row provisioning.GroupMember) ([]byte, bool) {
	r := reference{value: row.Value, of: row.Type, display: row.Display, kind: string(row.Type)}
	if v.whole {
		return c.appendReference(b, r), true
	}
	shown, _ := v.proj.Apply(scim.Attributes{"members": []any{c.element(r)}})["members"].([]any)
	if len(shown) == 0 {
		return b, false
	}
	return scim.AppendValue(b, shown[0]), true
}
