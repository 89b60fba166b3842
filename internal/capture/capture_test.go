package capture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"meibo/internal/capture"
	"meibo/internal/seal"
	"meibo/provisioning"
	"meibo/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeping is a tenant's store with a Recorder on it, and what the Recorder told.
type keeping struct {
	*capture.Recorder
	t             *testing.T
	kept, dropped int
	reported      []error
}

func newKeeping(t *testing.T, s provisioning.Store, key byte) *keeping {
	t.Helper()
	sealer, err := seal.New(strings.Repeat(string(key), seal.MinKey), "capture")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeping{t: t}
	k.Recorder = capture.New(capture.Options{Store: s, Sealer: sealer, Kept: func(n int) { k.kept += n }, Dropped: func(n int) { k.dropped += n },
		Report: func(err error) { k.reported = append(k.reported, err) }})
	return k
}

// tenants makes tenants: captures are kept of those alone.
func tenants(t *testing.T, s provisioning.Store, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := provisioning.New(provisioning.Options{Store: s}).CreateTenant(t.Context(), provisioning.Origin{Tenant: name, Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
}

// flush writes what waits.
func (k *keeping) flush() {
	ended, end := context.WithCancel(context.Background())
	end()
	k.Run(ended)
}

func exchange(i int, body, answer string) capture.Exchange {
	return capture.Exchange{Tenant: "acme", Correlation: fmt.Sprintf("019aa000-0000-7000-8000-%012d", i), Connection: 1,
		At: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Method: "POST", Target: "/t/acme/scim/v2/Users", Status: 201, Duration: time.Millisecond,
		Headers: map[string]string{"Content-Type": "application/scim+json"}, Answered: map[string]string{"ETag": `W/"1"`},
		Request: capture.NewBody([]byte(body)), Answer: capture.NewBody([]byte(answer))}
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		tenants(t, s, "acme", "umbrella")
		k := newKeeping(t, s, 'k')
		var want []capture.Exchange
		for i := range 300 { // more than a batch, and than a statement
			x := exchange(i, fmt.Sprintf(`{"userName": "kim%d@contoso.com"}`, i), strings.Repeat("{✓", i))
			want = append(want, x)
			k.Record(x)
		}
		k.flush()
		if k.kept != len(want) || k.dropped != 0 || k.reported != nil {
			t.Fatalf("kept %d, dropped %d, reported %v", k.kept, k.dropped, k.reported)
		}
		for _, x := range want {
			got, err := k.Exchange(t.Context(), "acme", x.Correlation)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(x, got); diff != "" {
				t.Fatalf("kept (-want +got):\n%s", diff)
			}
		}
		for _, unknown := range [][2]string{{"umbrella", want[0].Correlation}, {"acme", "nothing"}, {"acme", "\x00"}} {
			if _, err := k.Exchange(t.Context(), unknown[0], unknown[1]); provisioning.KindOf(err) != provisioning.NotFound {
				t.Errorf("%q: %v", unknown, err)
			}
		}
		if _, err := newKeeping(t, s, 'l').Exchange(t.Context(), "acme", want[0].Correlation); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("with another key: %v", err)
		}
	})
}

// What is not written yet is bounded: more is dropped, and told.
func TestRecorderBounded(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	tenants(t, s, "acme")
	k := newKeeping(t, s, 'k')
	large := strings.Repeat("x", capture.MaxBody)
	for i := range 200 {
		k.Record(exchange(i, large, large))
	}
	if k.dropped < 100 || k.dropped == 200 {
		t.Errorf("of 200 exchanges of 128 KiB %d were dropped", k.dropped)
	}
	k.flush()
	if k.kept+k.dropped != 200 {
		t.Errorf("kept %d, dropped %d", k.kept, k.dropped)
	}
	k.Record(exchange(200, "", ""))
	k.flush()
	if _, err := k.Exchange(t.Context(), "acme", exchange(200, "", "").Correlation); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}

// failing is a store that takes no writes.
type failing struct{ provisioning.Store }

var errFull = errors.New("disk full")

func (failing) Update(context.Context, string, func(provisioning.Tx) error) error { return errFull }

func TestRecorderFails(t *testing.T) {
	t.Parallel()
	k := newKeeping(t, failing{}, 'k')
	k.Record(exchange(0, "", ""))
	k.flush()
	if k.dropped != 1 || len(k.reported) != 1 || !errors.Is(k.reported[0], errFull) {
		t.Errorf("dropped %d, reported %v", k.dropped, k.reported)
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	whole := bytes.Repeat([]byte("0123456789"), 10_000)
	b := capture.NewBody(whole)
	if len(b.Text) != capture.MaxBody || b.Size != len(whole) || b.Note == "" {
		t.Errorf("%d bytes of %d, note %q", len(b.Text), b.Size, b.Note)
	}
	whole[0] = 'x'
	if b.Text[0] != '0' {
		t.Error("the body is not a copy")
	}
}

// TestSecrets plants secrets in every place of an exchange: none is kept, and what is no secret is.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "c4n4ry-S3cret"
	s := storetest.Open(t)
	tenants(t, s, "acme")
	for name, x := range map[string]capture.Exchange{
		"password of a create":          exchange(1, `{"userName": "kim", "password": "`+secret+`"}`, `{"userName":"kim"}`),
		"whatever its case":             exchange(2, `{"userName": "kim", "PassWord": "`+secret+`"}`, ``),
		"escaped name":                  exchange(3, `{"userName": "kim", "p\u0061ssword": "`+secret+`"}`, ``),
		"path of a PATCH":               exchange(4, `{"Operations":[{"op":"replace","path":"password","value":"`+secret+`"}]}`, ``),
		"value before the path":         exchange(5, `{"Operations":[{"op":"replace","Value":"`+secret+`","Path":"PASSWORD"}]}`, ``),
		"path-less PATCH":               exchange(6, `{"Operations":[{"op":"replace","value":{"password":"`+secret+`"}}]}`, ``),
		"in an extension":               exchange(7, `{"urn:example:2.0:User": {"client_secret": {"value": "`+secret+`"}}}`, ``),
		"no JSON":                       exchange(8, `{"password": "`+secret+`"`, ``),
		"behind a document":             exchange(9, `{"password": "x"} {"password": "`+secret+`"}`, ``),
		"in an answer":                  exchange(10, ``, `{"detail": "x", "token": "`+secret+`"}`),
		"a token of ours":               exchange(11, `{"userName": "meibo_`+secret+strings.Repeat("a", 30)+`"}`, ``),
		"a key of ours":                 exchange(12, `{"title": "see meibokey_`+secret+strings.Repeat("a", 30)+`"}`, ``),
		"authorization in text":         exchange(13, `{"title": "Bearer `+secret+`"}`, ``),
		"cut off after a secret":        exchange(14, `{"password": "`+secret+`", "title": "`+strings.Repeat("x", capture.MaxBody)+`"}`, ``),
		"in a document in a text":       exchange(17, `{"roles":[{"value":"{\"id\":\"kim\",\"password\":\"`+secret+`\"}"}]}`, ``),
		"deep in texts":                 exchange(18, nested(`{"password":"`+secret+`"}`, 9), ``),
		"a token in escapes":            exchange(19, `{"userName": "meibo\u005f`+secret+strings.Repeat("a", 30)+`"}`, ``),
		"a filter in a path":            exchange(20, `{"Operations":[{"op":"remove","path":"x[token eq \"`+secret+`\"]"}]}`, ``),
		"quoted by the answer":          exchange(21, `{"password": "`+secret+`"}`, `{"detail": "\"`+secret+`\" is too short"}`),
		"quoted with escapes":           exchange(22, `{"password": "\"`+secret+`\\"}`, `{"detail": "it cannot be \"\\\"`+secret+`\\\\\""}`),
		"another letter for s":          exchange(23, `{"userName": "kim", "paſſword": "`+secret+`"}`, ``),
		"a name in escapes of a letter": exchange(24, `{"Operations":[{"op":"replace","path":"pa\u017f\u017fword","value":"`+secret+`"}]}`, ``),
		"a form":                        exchange(25, `grant_type=password&password=`+secret, ``),
		"UTF-16":                        exchange(26, wide(`{"password":"`+secret+`"}`), ``),
		"compressed":                    exchange(27, "\x1f\x8b\x08\xff"+secret, ``),
		"in a filter": func() capture.Exchange {
			x := exchange(28, ``, ``)
			x.Target += "?filter=password+eq+%22" + secret + "%22"
			return x
		}(),
		"in the query": func() capture.Exchange {
			x := exchange(15, ``, ``)
			x.Target += "?filter=userName+eq+%22kim%22&code=" + secret + "&f%69lter2=" + secret
			return x
		}(),
		"in a header": func() capture.Exchange {
			x := exchange(16, ``, ``)
			x.Headers["User-Agent"] = "curl Bearer " + secret
			return x
		}(),
	} {
		k := newKeeping(t, s, 'k')
		k.Record(x)
		k.flush()
		got, err := k.Exchange(t.Context(), "acme", x.Correlation)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text := fmt.Sprintf("%s %v %v %s %s", got.Target, got.Headers, got.Answered, got.Request.Text, got.Answer.Text); strings.Contains(strings.ReplaceAll(text, "\x00", ""), secret) {
			t.Errorf("%s: the secret was kept: %s", name, text)
		} else if strings.Contains(string(x.Request.Text), `"kim"`) && !strings.Contains(text, "kim") {
			t.Errorf("%s: what is no secret is gone, too: %s", name, text)
		}
	}
}

// nested is a document in a text in a text.
func nested(document string, depth int) string {
	for range depth {
		text, _ := json.Marshal(document)
		document = `{"value":` + string(text) + `}`
	}
	return document
}

// wide is a text in UTF-16.
func wide(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		out.WriteByte(c)
		out.WriteByte(0)
	}
	return out.String()
}
