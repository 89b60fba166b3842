package supportpack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/internal/capture"
	"meibo/internal/exchange"
	"meibo/internal/seal"
	"meibo/internal/supportpack"
	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/provisioning/settings"
	"meibo/scim"
	"meibo/scim/endpoint"
	"meibo/store/storetest"
)

// site is a tenant behind an endpoint, all of whose requests are captured.
type site struct {
	t        *testing.T
	tenant   string
	service  *provisioning.Service
	clock    *testkit.Clock
	recorder *capture.Recorder
}

func newSite(t *testing.T, s provisioning.Store, tenant string) *site {
	t.Helper()
	sealer, err := seal.New(strings.Repeat("k", seal.MinKey), "capture")
	if err != nil {
		t.Fatal(err)
	}
	x := &site{t: t, tenant: tenant, clock: testkit.NewClock(time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)), recorder: capture.New(capture.Options{Store: s, Sealer: sealer})}
	x.service = provisioning.New(provisioning.Options{Store: s, Now: x.clock.Now})
	if _, err := x.service.CreateTenant(t.Context(), x.origin()); err != nil {
		t.Fatal(err)
	}
	x.connect(provisioning.DefaultConnection)
	return x
}

func (x *site) origin() provisioning.Origin {
	return provisioning.Origin{Tenant: x.tenant, Actor: provisioning.KeyActor("Rie Sato")}
}

func (x *site) connect(name string) {
	x.t.Helper()
	if _, err := x.service.Connection(x.t.Context(), x.tenant, name); err == nil {
		return
	}
	if _, err := x.service.CreateConnection(x.t.Context(), x.origin(), name); err != nil {
		x.t.Fatal(err)
	}
}

func (x *site) apply(connection string, document []byte) {
	x.t.Helper()
	draft, err := settings.Parse(document)
	if err != nil {
		x.t.Fatalf("%v in %s", err, document)
	}
	c, err := x.service.Connection(x.t.Context(), x.tenant, connection)
	if err != nil {
		x.t.Fatal(err)
	}
	if _, _, err := x.service.ApplySettings(x.t.Context(), x.origin(), connection, provisioning.SettingsDraft{Settings: draft, Expect: c.SettingsVersion, Comment: "for Zacharias"}); err != nil {
		x.t.Fatalf("%v in %s", err, document)
	}
}

// send sends a request whose target is below the tenant's base.
func (x *site) send(connection, method, target, body string, headers ...exchange.Header) *httptest.ResponseRecorder {
	x.t.Helper()
	x.clock.Advance(time.Second)
	c, err := x.service.Connection(x.t.Context(), x.tenant, connection)
	if err != nil {
		x.t.Fatal(err)
	}
	handler := endpoint.New(endpoint.Options{Service: x.service, PublicURL: "https://id.example.test", Log: zap.NewNop(), Now: x.clock.Now, Capture: x.recorder.Record,
		Authenticate: func(context.Context, string, string) (auth.Caller, error) {
			return auth.Caller{Tenant: x.tenant, Connection: c, Hint: "h1nt"}, nil
		}})
	r := httptest.NewRequest(method, "/t/"+x.tenant+"/scim/v2"+target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer c4n4ryT0ken-c4n4ryT0ken")
	r.Header.Set("Content-Type", "application/scim+json")
	for _, h := range headers {
		r.Header.Set(h.Name, h.Value)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// made sends a create that must go well, and returns the id.
func (x *site) made(target, body string) string {
	x.t.Helper()
	w := x.send(provisioning.DefaultConnection, http.MethodPost, target, body)
	var answer struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusCreated {
		x.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return answer.ID
}

func (x *site) pack(q supportpack.Query) supportpack.Pack {
	x.t.Helper()
	ended, end := context.WithCancel(context.Background())
	end()
	x.recorder.Run(ended) // writes what waits
	q.Tenant = x.tenant
	p, err := supportpack.Make(x.t.Context(), supportpack.Options{Service: x.service, Exchange: x.recorder.Exchange, Key: []byte("a key of the test"),
		Server: supportpack.Server{Meibo: "test", Go: "go", Database: "sqlite"}}, q)
	if err != nil {
		x.t.Fatal(err)
	}
	return p
}

const zacharias = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
 "userName":"Zacharias.Quellwasser@Fabrikamia.example","externalId":"7e57ab1e-1234-4abc-8def-0123456789ab","active":true,"password":"c4n4ryP4ssword",
 "name":{"givenName":"Zacharias","familyName":"Quellwasser","middleName":"Ottokar","honorificPrefix":"Freifrau","formatted":"Zacharias Quellwasser"},
 "displayName":"Zacharias Quellwasser","nickName":"Quelli","title":"Obersteigerin","userType":"Werkvertraglerin","preferredLanguage":"de-CH","locale":"de-CH","timezone":"Europe/Zurich",
 "profileUrl":"https://intranet.fabrikamia.example/zquellwasser",
 "emails":[{"type":"work","value":"zacharias.quellwasser@fabrikamia.example","primary":true},{"type":"Geheimfach","value":"zq1977@privatpostamt.example"}],
 "phoneNumbers":[{"type":"work","value":"+41 44 7654321"},{"type":"mobile","value":"0791234567"}],
 "ims":[{"type":"xmpp","value":"quellimessenger"}],
 "addresses":[{"type":"work","streetAddress":"Hinterhofgasse 177","locality":"Winterthurli","region":"Zurichgau","postalCode":"84011","country":"CH","formatted":"Hinterhofgasse 177, Winterthurli"}],
 "roles":[{"value":"{\"id\":\"18d14569-c3bd-439b-9a66-3a2aee01d14f\",\"value\":\"Geheimnistraeger\",\"displayName\":\"Geheimnistraeger\"}","primary":"True"}],
 "entitlements":[{"value":"Tresorschluessel"}],
 "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"70118833","costCenter":"KST99117","organization":"Fabrikamianer","division":"Sonderabteil","department":"Wurstkueche"},
 "urn:example:custom:2.0:User":{"badge":55667788,"locker":"Spindnummerzwei","tags":["Brillentraeger"]}}`

// canaries are personal values of zacharias, and words of them; none is in a pack in any case.
var canaries = []string{"Zacharias", "Quellwasser", "Fabrikamia", "7e57ab1e", "Ottokar", "Freifrau", "Quelli", "Obersteigerin", "Werkvertrag", "de-CH", "Zurich", "zquellwasser", "intranet",
	"Geheimfach", "zq1977", "privatpostamt", "7654321", "0791234567", "791234567", "quellimessenger", "Hinterhofgasse", "Winterthur", "84011", "18d14569", "Geheimnis", "Tresor", "70118833",
	"KST99117", "99117", "Sonderabteil", "Wurstk", "55667788", "Spindnummer", "Brillen", "Vertrauensrat", "Umbenannt", "Lindenhof", "Kantinenchefin", "Rie Sato", "Sato", "Nebenbuhler", "Protokollfuehrer",
	"Verschollen", "%40fabrikamia", "kontoso", "Unquotiert", "Sperrzone", "h1nt", "Zollbeamter", "Kellergewoelbe", "Fluesterer"}

var secrets = []string{"c4n4ryT0ken", "c4n4ryP4ssword", "c4n4ryS3cret"}

// story is what happens to Zacharias; it returns the user's id.
func story(x *site) string {
	x.apply(provisioning.DefaultConnection, []byte("guard:\n  users: [Zacharias.Quellwasser@fabrikamia.example]\n  groups: [Vertrauensrat]\nmatching:\n  verifiedDomains: [fabrikamia.example, kontoso.example]\n"+
		"# Kellergewoelbe\nscope:\n  users:\n    filter: 'not (title eq \"Sperrzone\")'\nmapping:\n  users:\n    - target: nickName\n      expression: 'Join(\" \", [name.givenName], \"Zollbeamter\")'\n"))
	id := x.made("/Users", zacharias)
	other := x.made("/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Nebenbuhler@fabrikamia.example","active":true}`)
	send := func(method, target, body string, headers ...exchange.Header) {
		x.send(provisioning.DefaultConnection, method, target, body, headers...)
	}
	send("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ZACHARIAS.quellwasser@fabrikamia.example","title":"Verschollen"}`)
	send("PATCH", "/Users/"+id, `{"Operations":[{"op":"Add","path":"emails[type eq \"Geheimfach\"].value","value":"fluesterer@fabrikamia.example"},{"op":"replace","path":"active","value":"False"}]}`)
	send("PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","path":"active","value":"True"},{"op":"replace","value":{"title":"Kantinenchefin","name.familyName":"Umbenannt"}}]}`)
	send("PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","path":"userName","value":"Nebenbuhler@fabrikamia.example"}]}`)
	send("PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","path":"emails[value eq Unquotiert@fabrikamia.example].value","value":"x"}]}`)
	send("PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","path":"password","value":"c4n4ryS3cret"}]}`, exchange.Header{Name: "If-Match", Value: `W/"99"`})
	send("PUT", "/Users/Protokollfuehrer", zacharias)
	group := x.made("/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Vertrauensrat","members":[{"value":"`+id+`","display":"Lindenhof"},{"value":"`+other+`"}]}`)
	send("PATCH", "/Groups/"+group, `{"Operations":[{"op":"Remove","path":"members","value":[{"value":"`+id+`"}]}]}`)
	x.apply(provisioning.DefaultConnection, []byte("preset: mirror\n"))
	send("DELETE", "/Users/"+id, "")
	send("DELETE", "/Users/"+id, "")
	return id
}

// Fifty personal values and planted secrets go in, and none comes out; what stays readable is enough to replay.
func TestPack(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	x := newSite(t, s, "kontoso")
	id := story(x)
	for name, q := range map[string]supportpack.Query{
		"id": {User: id}, "name": {User: "zacharias.quellwasser@FABRIKAMIA.example"}, "externalId": {User: "7e57ab1e-1234-4abc-8def-0123456789ab"},
	} {
		t.Run(name, func(t *testing.T) {
			p := x.pack(q)
			file, err := p.Encode(secrets)
			if err != nil {
				t.Fatalf("%v\n%+v", err, p)
			}
			for _, canary := range slices.Concat(canaries, secrets, []string{id}) {
				if at := bytes.Index(bytes.ToLower(file), []byte(strings.ToLower(canary))); at >= 0 {
					t.Errorf("%s is in the pack: …%s…", canary, file[max(0, at-60):min(len(file), at+60)])
				}
			}
			if len(p.Requests) < 9 {
				t.Errorf("%d requests, notes %q", len(p.Requests), p.Notes)
			}
			for id, chain := range p.Chains {
				if again := chain.Reevaluation; !again.Same && again.Lacks == "" {
					t.Errorf("decided again, entry %s comes to something else: %q", id, again.Differences)
				}
			}
			again, err := x.pack(q).Encode(secrets)
			if made := regexp.MustCompile(`"made": "[^"]*"`); err != nil || cmp.Diff(made.ReplaceAllString(string(file), ""), made.ReplaceAllString(string(again), "")) != "" {
				t.Errorf("made again it differs: %v", err)
			}
			read, err := supportpack.Decode(file)
			if err != nil {
				t.Fatal(err)
			}
			replayPack(t, newSite(t, s, "fresh-"+strings.ToLower(name)), read)
			var shown bytes.Buffer
			if err := supportpack.Show(&shown, read); err != nil || !strings.HasPrefix(shown.String(), p.Cause.Sentence) || !strings.Contains(shown.String(), "> DELETE /Users/{{") {
				t.Errorf("%v\n%s", err, shown.String())
			}
		})
	}
}

// replayPack plays the requests of a pack in a fresh tenant, under the settings in the pack: each is answered and decided as it was.
func replayPack(t *testing.T, x *site, p supportpack.Pack) {
	t.Helper()
	c, err := exchange.Parse(p.Recording)
	if err != nil || len(c.Turns) != len(p.Requests) {
		t.Fatalf("%v, %d turns of %d requests\n%s", err, len(c.Turns), len(p.Requests), p.Recording)
	}
	vars, inForce := map[string]string{}, map[string]int64{}
	for i, turn := range c.Turns {
		q := p.Requests[i]
		x.connect(q.Connection)
		if inForce[q.Connection] != q.SettingsVersion {
			x.apply(q.Connection, document(t, p, q))
			inForce[q.Connection] = q.SettingsVersion
		}
		var texts [2]string
		for i, text := range []string{turn.Target, turn.Body} {
			if texts[i], err = exchange.Expand(text, vars); err != nil {
				t.Fatal(err)
			}
		}
		w := x.send(q.Connection, turn.Method, texts[0], texts[1], turn.Headers...)
		if w.Code != turn.Status {
			t.Errorf("%s %s %s: answered %d %s, recorded %d", turn.Method, texts[0], texts[1], w.Code, w.Body, turn.Status)
		}
		var answer struct{ ID string }
		_ = json.Unmarshal(w.Body.Bytes(), &answer) // an answer without a body has no id
		for _, k := range turn.Keep {
			vars[k.Name] = answer.ID
		}
		if turn.Journal == nil {
			continue
		}
		if diff := cmp.Diff(facts(*turn.Journal), x.decided(w.Header().Get(endpoint.CorrelationHeader))); diff != "" {
			t.Errorf("%s %s %s: decided (-recorded +replayed)\n%s", turn.Method, texts[0], texts[1], diff)
		}
	}
}

func document(t *testing.T, p supportpack.Pack, q supportpack.Request) []byte {
	t.Helper()
	for _, c := range p.Connections {
		for _, v := range c.Settings {
			if c.Name == q.Connection && v.Version == q.SettingsVersion {
				return v.Document
			}
		}
	}
	t.Fatalf("the pack lacks version %d of the settings of %s", q.SettingsVersion, q.Connection)
	return nil
}

func facts(e exchange.Entry) map[string]string {
	out := map[string]string{"action": e.Action, "outcome": e.Outcome}
	for _, f := range e.Fields {
		if out[f.Name] = f.Value; f.Value == "-" {
			out[f.Name] = ""
		}
	}
	return out
}

// decided is what the journal says of a request.
func (x *site) decided(correlation string) map[string]string {
	x.t.Helper()
	out := map[string]string{}
	err := x.service.Entries(x.t.Context(), x.tenant, provisioning.EntryQuery{Correlation: correlation}, func(e provisioning.Entry) error {
		if e.Request == nil {
			return nil
		}
		out = map[string]string{"action": string(e.Action), "outcome": string(e.Outcome), "reason": e.Reason.Code, "dialect": e.Request.Dialect,
			"quirks": strings.Join(slices.Sorted(slices.Values(e.Request.Quirks)), ","), "matched": e.MatchedBy}
		if e.Error != nil {
			out["error"] = e.Error.Code
		}
		return nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return out
}

// A pack that begins in the middle makes up what was there before.
func TestPackOfAnEntry(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	x := newSite(t, s, "kontoso")
	id := x.made("/Users", zacharias)
	x.clock.Advance(30 * 24 * time.Hour)
	since := x.clock.Now()
	w := x.send(provisioning.DefaultConnection, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","path":"active","value":"False"}]}`)
	if w.Code >= 300 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var entry string
	if err := x.service.Entries(t.Context(), x.tenant, provisioning.EntryQuery{Resource: id, Limit: 1}, func(e provisioning.Entry) error { entry = e.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	p := x.pack(supportpack.Query{Entry: entry, Since: since})
	if len(p.Requests) != 2 || p.Requests[0].Entry != "" || p.Requests[1].Entry != entry || p.Cause.Entry != entry || p.Cause.Sentence == "" {
		t.Errorf("requests %+v, cause %+v, notes %q", p.Requests, p.Cause, p.Notes)
	}
	replayPack(t, newSite(t, s, "fresh"), p)
}

// TestPackOfAnotherDecision: in what a decision comes out otherwise tells of nobody either.
func TestPackOfAnotherDecision(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	x := newSite(t, s, "kontoso")
	x.apply(provisioning.DefaultConnection, []byte("matching:\n  verifiedDomains: [fabrikamia.example]\n"))
	id := x.made("/Users", zacharias)
	if _, err := x.service.Act(t.Context(), x.origin(), scim.User, id, provisioning.Act{State: provisioning.Suspended,
		Overrides: map[string]any{`emails[type eq "Geheimfach"].value`: "lindenhof@privatpostamt.example"}}); err != nil {
		t.Fatal(err)
	}
	var entry string
	if err := x.service.Entries(t.Context(), x.tenant, provisioning.EntryQuery{Resource: id, Limit: 1}, func(e provisioning.Entry) error { entry = e.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	// As the rules have never been, nobody could have suspended the user.
	x.service = provisioning.New(provisioning.Options{Store: guarded{s}, Now: x.clock.Now})
	p := x.pack(supportpack.Query{Entry: entry})
	said := p.Chains[entry].Reevaluation
	if said.Same || !slices.ContainsFunc(said.Differences, func(text string) bool { return strings.Contains(text, provisioning.PathOverride+"emails[type eq ") }) {
		t.Fatalf("decided again: %+v", said)
	}
	for _, canary := range canaries {
		if text := strings.Join(said.Differences, "; "); strings.Contains(strings.ToLower(text), strings.ToLower(canary)) {
			t.Errorf("%s is in %s", canary, text)
		}
	}
}

// guarded is a store whose settings protect everybody at Fabrikamia.
type guarded struct{ provisioning.Store }

func (s guarded) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return s.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(guardedReader{r}) })
}

type guardedReader struct{ provisioning.Reader }

func (r guardedReader) Settings(connection, version int64) (provisioning.SettingsVersion, error) {
	v, err := r.Reader.Settings(connection, version)
	v.Settings.Guard.Users = []string{"zacharias.quellwasser@fabrikamia.example"}
	return v, err
}

// What looks like a secret is refused, whatever brought it there.
func TestPackRefusesSecrets(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"meibo_" + strings.Repeat("a", 40), "meibokey_" + strings.Repeat("a", 40), "Bearer " + strings.Repeat("x", 20), "the \"DSN\" itself"} {
		p := supportpack.Pack{Notes: []string{"see " + text}}
		if _, err := p.Encode([]string{`the "DSN" itself`}); err == nil || strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := (supportpack.Pack{}).Encode([]string{""}); err != nil {
		t.Error(err)
	}
}

func TestDecodeFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{`nothing`: "no support pack", `{}`: "does not say", `{"format":"meibo support pack","version":9}`: "version 9"} {
		if _, err := supportpack.Decode([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
