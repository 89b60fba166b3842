package transfer

import (
	"bytes"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"meibo/scim"
	"meibo/scim/scimtest"
)

// nasty are texts that a format could take for something else.
var nasty = []string{"=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "'", "''", "'=", "''=x", "'t Hooft", "＝x", "a\r\nb", "a\rb", `"`, `a "b", c`, " x ", "", "\u00a0x", "true", "null", "{}", "[]", "\ufeffx", "、"}

func text(t *rapid.T, label string) string {
	if rapid.Bool().Draw(t, label+" is nasty") {
		return rapid.SampledFrom(nasty).Draw(t, label)
	}
	return strings.ReplaceAll(rapid.String().Draw(t, label), "\x00", "")
}

// anyRow draws a row as an export has it.
func anyRow(t *rapid.T) Row {
	r := Row{Has: hasAll, Type: rapid.SampledFrom([]scim.ResourceType{scim.User, scim.Group}).Draw(t, "type")}
	r.ID = rapid.SampledFrom(scimtest.IDs()).Draw(t, "id")
	r.Connection = rapid.SampledFrom([]string{"", "default", "hr"}).Draw(t, "connection")
	r.State = rapid.SampledFrom(states).Draw(t, "state")
	r.Visible, r.Protected = rapid.Bool().Draw(t, "visible"), rapid.Bool().Draw(t, "protected")
	r.PurgeAt, r.LeftAt = moment(t, "purgeAt"), moment(t, "leftAt")
	r.Overrides = object(t, "overrides")
	if r.Type == scim.User {
		r.Has &^= HasMembers
		r.Role = text(t, "role") + "r"
		r.Attributes = scimtest.User().Draw(t, "attributes")
		spoil(t, r.Attributes)
		r.Effective = overlay(r.Attributes, scimtest.User().Draw(t, "effective"))
		return r
	}
	r.Has &^= HasRole
	r.Attributes = scimtest.Group().Draw(t, "attributes")
	r.Attributes["displayName"] = text(t, "displayName") + "x"
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		m, err := membership(text(t, "member")+"m", text(t, "display"), rapid.SampledFrom([]string{"", "asserted", "effective"}).Draw(t, "view"))
		if err != nil {
			t.Fatal(err)
		}
		r.Members = append(r.Members, m)
	}
	return r
}

// spoil puts into a user what its schema would not have, or not so.
func spoil(t *rapid.T, a scim.Attributes) {
	enterprise, _ := a[scim.EnterpriseUserSchema].(map[string]any)
	switch rapid.IntRange(0, 6).Draw(t, "spoil") {
	case 0:
		a["title"] = text(t, "title")
	case 1:
		a[scim.EnterpriseUserSchema] = map[string]any{}
	case 2:
		enterprise = maps.Clone(enterprise)
		if enterprise == nil {
			enterprise = map[string]any{}
		}
		enterprise["badge"] = text(t, "badge")
		a[scim.EnterpriseUserSchema] = enterprise
	case 3:
		a["urn:example:odd"] = []any{text(t, "odd")}
	case 4:
		a["emails"] = []any{map[string]any{"type": "work", "value": "a@example.com"}, map[string]any{"type": "work", "value": "b@example.com"}}
	case 5:
		a["emails"] = []any{map[string]any{"type": "home", "value": text(t, "home") + "x"}, map[string]any{"type": "work", "value": "b@example.com", "primary": true}}
	case 6:
		a["emails"] = []any{map[string]any{"type": "work", "value": text(t, "work") + "x", "primary": true}}
	}
}

func moment(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, "no "+label) {
		return time.Time{}
	}
	return time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, label)).UTC()
}

func object(t *rapid.T, label string) map[string]any {
	if rapid.Bool().Draw(t, "no "+label) {
		return nil
	}
	return map[string]any{`emails[type eq "work"].value`: text(t, label), "role": nil}
}

func written(t interface{ Fatal(...any) }, f Format, rows ...Row) []byte {
	var b bytes.Buffer
	w, err := NewWriter(&b, f, scim.User, scim.Group)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readAll reads rows up to the end, or to what ends them.
func readAll(file []byte) ([]Row, error) {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	var rows []Row
	for {
		row, err := r.Next()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, f := range []Format{CSV, NDJSON} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				want := rapid.SliceOfN(rapid.Custom(anyRow), 1, 3).Draw(t, "rows")
				file := written(t, f, want...)
				got, err := readAll(file)
				if err != nil {
					t.Fatalf("%v\n%s", err, file)
				}
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Row{}, "Line"), cmpopts.IgnoreUnexported(Row{}), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("rows (-written +read):\n%s\n%s", diff, file)
				}
				for i := range got {
					over, err := got[i].Over(scim.Attributes{"title": "before"})
					if err != nil || !scim.Equal(over, want[i].Attributes) {
						t.Fatalf("row %d over another document: %v, %v", i, over, err)
					}
				}
				if again := written(t, f, got...); !bytes.Equal(again, file) {
					t.Fatalf("written again:\n%s\nwant\n%s", again, file)
				}
			})
		})
	}
}

// Whatever the resource holds, a spreadsheet has nothing to calculate.
func TestCellsAreNoFormulas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := newRecords(bytes.NewReader(written(t, CSV, anyRow(t))))
		for {
			rec, err := in.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, cell := range rec.cells {
				if strings.IndexAny(cell, "=+-@\t\r\n＝＋－＠") == 0 {
					t.Fatalf("line %d, cell %d begins with what starts a formula: %q", rec.line, i+1, cell)
				}
			}
		}
	})
}

// An export's titles are part of the format: files are compared, and scripts rely on them.
func TestExportTitles(t *testing.T) {
	t.Parallel()
	line, _, _ := bytes.Cut(written(t, CSV), []byte("\r\n"))
	const want = "\ufefftype,id,connection,state,visible,role,protected,purgeAt,leftAt,externalId,userName,name.formatted,"
	if !strings.HasPrefix(string(line), want) {
		t.Errorf("titles are\n%s\nwant them to begin with\n%s", line, want)
	}
	if n := len(strings.Split(string(line), ",")); n != 60 {
		t.Errorf("%d titles", n)
	}
}
