package webhook_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"meibo/internal/webhook"
)

// What Standard Webhooks itself gives as an example; HMAC computed by other programs comes to the same.
const (
	secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	id        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	body      = `{"test": 2432232314}`
	signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

var sent = time.Unix(1614265330, 0)

func key(t *testing.T, text string) webhook.Key {
	t.Helper()
	k, err := webhook.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVector(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	key(t, secret).Sign(h, id, sent, []byte(body))
	want := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {"1614265330"}, "Webhook-Signature": {signature}}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", h, want)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	other := "whsec_" + strings.Repeat("QUFB", 8)
	for name, tt := range map[string]struct {
		secret string
		edit   func(http.Header)
		body   string
		now    time.Time
		want   string // of the error; "" for none
	}{
		"as sent":                {secret: secret, body: body, now: sent},
		"just in time":           {secret: secret, body: body, now: sent.Add(5 * time.Minute)},
		"clock behind":           {secret: secret, body: body, now: sent.Add(-5 * time.Minute)},
		"one of several":         {secret: secret, body: body, now: sent, edit: func(h http.Header) { h.Set(webhook.HeaderSignature, "v1,AAAA v1a,zz "+signature) }},
		"late":                   {secret: secret, body: body, now: sent.Add(5*time.Minute + time.Second), want: "not of now"},
		"from the future":        {secret: secret, body: body, now: sent.Add(-5*time.Minute - time.Second), want: "not of now"},
		"another body":           {secret: secret, body: body + " ", now: sent, want: "no signature"},
		"another key":            {secret: other, body: body, now: sent, want: "no signature"},
		"another id":             {secret: secret, body: body, now: sent, edit: func(h http.Header) { h.Set(webhook.HeaderID, "msg_2") }, want: "no signature"},
		"another time":           {secret: secret, body: body, now: sent, edit: func(h http.Header) { h.Set(webhook.HeaderTimestamp, "1614265331") }, want: "no signature"},
		"another version":        {secret: secret, body: body, now: sent, edit: func(h http.Header) { h.Set(webhook.HeaderSignature, "v2"+signature[2:]) }, want: "no signature"},
		"unsigned":               {secret: secret, body: body, now: sent, edit: func(h http.Header) { h.Del(webhook.HeaderSignature) }, want: "no signature"},
		"without id":             {secret: secret, body: body, now: sent, edit: func(h http.Header) { h.Del(webhook.HeaderID) }, want: "no id"},
		"with a time in letters": {secret: secret, body: body, now: sent, edit: func(h http.Header) { h.Set(webhook.HeaderTimestamp, "now") }, want: "no timestamp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			key(t, secret).Sign(h, id, sent, []byte(body))
			if tt.edit != nil {
				tt.edit(h)
			}
			err := key(t, tt.secret).Verify(h, []byte(tt.body), tt.now)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Verify: %v, want %q", err, tt.want)
			}
		})
	}
	h := http.Header{}
	webhook.Key{}.Sign(h, id, sent, nil)
	if (webhook.Key{}).Verify(h, nil, sent) == nil {
		t.Error("no key at all verifies")
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "whsec_", secret[6:], "whsec_" + strings.Repeat("QUFB", 7), "whsec_" + strings.Repeat("QUFB", 22), secret + "!", "Whsec_" + secret[6:]} {
		_, err := webhook.ParseKey(text)
		if err == nil {
			t.Errorf("%q is taken for a secret", text)
		} else if len(text) > 8 && strings.Contains(err.Error(), text[6:]) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", key(t, secret), key(t, secret), key(t, secret), key(t, secret)); strings.Contains(shown, "MfKQ") || strings.Contains(shown, "49") {
		t.Errorf("printed: %s", shown)
	}
}
