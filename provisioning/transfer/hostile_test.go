package transfer

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
)

// faultsOf reads a file to its end and lists every mistake as a person is told of it.
func faultsOf(t *testing.T, file string) []string {
	t.Helper()
	var out []string
	r, err := NewReader(strings.NewReader(file))
	for err == nil {
		var row Row
		if row, err = r.Next(); err == nil {
			for _, f := range row.Faults {
				out = append(out, f.Error())
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		out = append(out, strings.Split(err.Error(), "\n")...)
	}
	return out
}

func inUTF16(text string, bigEndian bool) string {
	var b bytes.Buffer
	for _, u := range append([]uint16{0xfeff}, utf16.Encode([]rune(text))...) {
		if bigEndian {
			u = u<<8 | u>>8
		}
		b.Write([]byte{byte(u), byte(u >> 8)})
	}
	return b.String()
}

func TestHostileFiles(t *testing.T) {
	t.Parallel()
	const head = "type,userName,title\r\n"
	tests := []struct {
		name, file string
		want       []string // nil: sound
	}{
		{"line feeds alone", "type,userName\nUser,a\n", nil},
		{"no line end after the last", "type,userName\r\nUser,a", nil},
		{"a comma last", "type,userName,title\r\nUser,a,", nil},
		{"mark, empty lines", "\ufefftype,userName\r\n\r\nUser,a\r\n\r\n", nil},
		{"titles in quotes", `"type","userName"` + "\r\nUser,a\r\n", nil},
		{"empty", "", []string{"line 1: the file is empty; its first line has the titles of the columns"}},
		{"mark alone", "\ufeff", []string{"line 1: the file is empty; its first line has the titles of the columns"}},
		{"UTF-16 LE", inUTF16(head, false), []string{"line 1: the file is in UTF-16; save it as UTF-8 (in spreadsheets: “CSV UTF-8”)"}},
		{"UTF-16 BE", inUTF16(head, true), []string{"line 1: the file is in UTF-16; save it as UTF-8 (in spreadsheets: “CSV UTF-8”)"}},
		{"UTF-16 without mark", inUTF16("type,userName", false)[2:], []string{"line 1: a NUL character; the file is not text, or in UTF-16: save it as UTF-8"}},
		{"Latin-1", head + "User,a,Gesch\xe4ft\r\n", []string{"line 2: the text is not UTF-8; save the file as UTF-8 (in spreadsheets: “CSV UTF-8”)"}},
		{"NUL", head + "User,a,b\x00c\r\n", []string{"line 2: a NUL character; the file is not text, or in UTF-16: save it as UTF-8"}},
		{"carriage returns alone", "type,userName\rUser,a\r", []string{"line 1: a carriage return without a line feed; end lines with both, and put cells that hold one in quotes"}},
		{"semicolons", "type;userName;title\r\nUser;a;b\r\n", []string{"line 1, column type;userName;title: the columns are separated by semicolons; save the file with commas"}},
		{"tabs", "type\tuserName\r\n", []string{`line 1, column "type\tuserName": the columns are separated by tabs; save the file with commas`}},
		{"column twice", "userName,title,username\r\n", []string{"line 1, column username: the column is there twice; remove one"}},
		{"all titles at once", "userName,favouriteColour,password,groups,emails.value,emails[type co \"w\"].value\r\n", []string{
			"line 1, column favouriteColour: position 1: User has no such attribute; correct the title or remove the column",
			"line 1, column password: password is nothing that a file can set; remove the column",
			"line 1, column groups: groups is nothing that a file can set; remove the column",
			`line 1, column emails.value: emails has many values; say which, as in emails[type eq "work"].value`,
			`line 1, column emails[type co "w"].value: a column of one element is titled like emails[type eq "work"].value`,
		}},
		{"no quote at the end", head + "User,a,\"b\r\nUser,c,d\r\n", []string{"line 2: a cell that begins on this line has no closing quote"}},
		{"quote in a cell", head + "User,a,b\"c\r\n", nil},
		{"text behind a quote", head + "User,a,\"b\"c\r\n", []string{"line 2: text after a closing quote; write quotes inside a cell twice"}},
		{"a cell of more than 1 MiB", head + "User,a," + strings.Repeat("x", 1<<20+1) + "\r\n", []string{"line 2: a cell takes more than 1048576 bytes; look for a quote that is not closed"}},
		{"wrong arity, and what follows it", head + "User,a\r\nUser,b,c,d\r\nPerson,e,f\r\n", []string{
			"line 2: the record has 2 cells, and there are 3 titles; give each column a cell, empty where it has no value",
			"line 3: the record has 4 cells, and there are 3 titles; give each column a cell, empty where it has no value",
			"line 4, column type: expected User, Group or Member",
		}},
		{"lines are counted through cells", head + "User,a,\"b\r\nc\"\r\nNobody,d,e\r\n", []string{"line 4, column type: expected User, Group or Member"}},
		{"values", "type,userName,active,state,visible,purgeAt,emails,emails[type eq \"work\"].value,effective\r\n" +
			"User,a,perhaps,gone,1,yesterday,\"[{\",,[]\r\nUser,b,,,,,[],w@example.com,\r\n", []string{
			"line 2, column state: there is no such state; write active, suspended, held or removed",
			"line 2, column visible: expected true or false",
			"line 2, column purgeAt: this is no instant; write it as 2030-01-31T09:30:00Z",
			"line 2, column effective: expected a JSON object",
			"line 2, column active: expected true or false",
			"line 2, column emails: byte 3: the JSON value ends too early",
			`line 3, column emails: the attribute is given here and in column emails[type eq "work"].value, too; empty one of them`,
		}},
		{"groups", "type,id,userName,displayName,group\r\nMember,u1,,,\r\nGroup,g1,name,G,\r\nMember,,,,g1\r\nMember,u1,,,g2\r\n", []string{
			"line 2, column type: a Member row follows the row of its group, or another Member row of it",
			"line 3, column userName: groups have no such attribute; empty the cell",
			"line 4, column id: a Member row has the id of the member",
			"line 5, column group: a Member row follows the row of its group; this one names another",
		}},
		{"NDJSON", `{"type":"User","attributes":{"userName":"a"}}` + "\n\n" + `{"type":"User",` + "\n" + `[]` + "\n" + `{"type":"Robot"}` + "\n" +
			`{"type":"User","atributes":{},"state":1,"visible":"yes","attributes":[],"purgeAt":"soon"}` + "\n" + `{"type":"Group","members":[{"id":"x"}]}`, []string{
			"line 3: byte 17: the JSON value ends too early",
			"line 4: expected a JSON object",
			"line 5, column type: expected User or Group",
			"line 6, column atributes: there is no such key; remove it, or put an attribute into attributes",
			"line 6, column attributes: expected an object",
			"line 6, column purgeAt: this is no instant; write it as 2030-01-31T09:30:00Z",
			"line 6, column state: expected a string",
			"line 6, column visible: expected true or false",
			`line 7, column members: element 1: expected an object like {"value": "id of the member"}`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, faultsOf(t, tt.file)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// A file of some columns says nothing of the other attributes, and a column of one element nothing of the others.
func TestOver(t *testing.T) {
	t.Parallel()
	before := scim.Attributes{"userName": "a", "title": "T", "active": true, "name": map[string]any{"familyName": "F", "givenName": "G"},
		"emails": []any{map[string]any{"type": "Work", "value": "old@example.com", "primary": true}, map[string]any{"type": "home", "value": "h@example.com"}},
		"roles":  []any{map[string]any{"value": "r"}},
	}
	tests := []struct {
		name, titles, cells string
		want                scim.Attributes // what differs from before; nil: unassigned
	}{
		{"nothing", "userName", "a", nil},
		{"a simple one", "userName,title", "a,New", scim.Attributes{"title": "New"}},
		{"unassigned by an empty cell", "userName,title,name.givenName", "a,,", scim.Attributes{"title": nil, "name": map[string]any{"familyName": "F"}}},
		{"a boolean as spreadsheets write it", "userName,active", "a,FALSE", scim.Attributes{"active": false}},
		{"one element", `userName,"emails[type eq ""work""].value"`, "a,new@example.com", scim.Attributes{
			"emails": []any{map[string]any{"type": "Work", "value": "new@example.com", "primary": true}, map[string]any{"type": "home", "value": "h@example.com"}}}},
		{"a new element", `userName,"emails[type eq ""other""].value"`, "a,o@example.com", scim.Attributes{
			"emails": []any{map[string]any{"type": "Work", "value": "old@example.com", "primary": true}, map[string]any{"type": "home", "value": "h@example.com"},
				map[string]any{"type": "other", "value": "o@example.com"}}}},
		{"an element goes", `userName,"emails[type eq ""home""].value"`, "a,", scim.Attributes{
			"emails": []any{map[string]any{"type": "Work", "value": "old@example.com", "primary": true}}}},
		{"a list as a whole", "userName,emails", `a,"[{""value"":""n@example.com""}]"`, scim.Attributes{"emails": []any{map[string]any{"value": "n@example.com"}}}},
		{"a list as a whole beside its parts", `userName,emails,"emails[type eq ""home""].value"`, "a,,n@example.com", scim.Attributes{
			"emails": []any{map[string]any{"type": "home", "value": "n@example.com"}}}},
		{"an extension", "userName,department,urn:example:x:badge", "a,D,7", scim.Attributes{
			scim.EnterpriseUserSchema: map[string]any{"department": "D"}, "urn:example:x": map[string]any{"badge": "7"}}},
		{"all there is", "userName,attributes", `a,"{""title"":""T""}"`, scim.Attributes{"active": nil, "name": nil, "emails": nil, "roles": nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rows, err := readAll([]byte(tt.titles + "\n" + tt.cells + "\n"))
			if err != nil || len(rows) != 1 || len(rows[0].Faults) > 0 {
				t.Fatalf("%+v, %v", rows, err)
			}
			got, err := rows[0].Over(before)
			if err != nil {
				t.Fatal(err)
			}
			want := scim.Attributes{}
			for _, side := range []scim.Attributes{before, tt.want} {
				for name, v := range side {
					if want[name] = v; v == nil {
						delete(want, name)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
		})
	}
}
