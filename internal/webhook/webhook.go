// Package webhook signs what meibo sends to a host application, as Standard Webhooks
// (https://www.standardwebhooks.com) has it, so that any of its libraries verifies it.
//
// Three header fields come with a body. The recipe to verify them, in full:
//
//  1. Refuse a webhook-timestamp (seconds since 1970) that is more than five minutes off.
//  2. Take the key: the base64 after "whsec_" of the shared secret, decoded.
//  3. Compute HMAC-SHA256 under that key of webhook-id + "." + webhook-timestamp + "." + body, of the very bytes that came.
//  4. Compare its base64, in constant time, with each of the signatures in webhook-signature: they stand with blanks between
//     them, and each begins with "v1,".
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The header fields.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const (
	prefix  = "whsec_"
	version = "v1,"
	skew    = 5 * time.Minute
)

// Bounds of a key, in bytes.
const (
	minKey = 24
	maxKey = 64
)

// Key is the secret that both sides share. The zero Key signs nothing.
type Key struct{ secret []byte }

// ParseKey reads a secret in the form of Standard Webhooks: whsec_ and the base64 of 24 to 64 bytes. Its error does not
// repeat the secret.
func ParseKey(text string) (Key, error) {
	encoded, ok := strings.CutPrefix(text, prefix)
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) < minKey || len(secret) > maxKey {
		return Key{}, errors.New("the secret is not whsec_ and the base64 of 24 to 64 random bytes")
	}
	return Key{secret}, nil
}

// String hides the secret.
func (Key) String() string { return prefix + "(hidden)" }

// GoString hides the secret.
func (k Key) GoString() string { return k.String() }

// Sign adds the header fields for a body: id names the message, at is when it is sent.
func (k Key) Sign(h http.Header, id string, at time.Time, body []byte) {
	seconds := strconv.FormatInt(at.Unix(), 10)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, seconds)
	h.Set(HeaderSignature, version+base64.StdEncoding.EncodeToString(k.sum(id, seconds, body)))
}

func (k Key) sum(id, seconds string, body []byte) []byte {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte(id + "." + seconds + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// Verify refuses a message that the key's holder did not sign within five minutes of now.
func (k Key) Verify(h http.Header, body []byte, now time.Time) error {
	id, seconds := h.Get(HeaderID), h.Get(HeaderTimestamp)
	n, err := strconv.ParseInt(seconds, 10, 64)
	switch at := time.Unix(n, 0); {
	case len(k.secret) == 0:
		return errors.New("there is no key")
	case err != nil || id == "":
		return errors.New("the message has no id or no timestamp")
	case at.Before(now.Add(-skew)), at.After(now.Add(skew)):
		return errors.New("the message is not of now")
	}
	want := k.sum(id, seconds, body)
	for signature := range strings.FieldsSeq(h.Get(HeaderSignature)) {
		encoded, ok := strings.CutPrefix(signature, version)
		if got, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("no signature of the message is by this key")
}
