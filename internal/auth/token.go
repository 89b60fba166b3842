package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const (
	tokenPrefix = "meibo_"
	keyPrefix   = "meibokey_" // so that neither is taken for the other
	secretBytes = 32
	hintLength  = 4
)

// NewToken makes a token: its text, to be shown once and never stored; its hash, to be stored; and
// its last characters, by which people tell tokens apart.
func NewToken() (text string, hash []byte, hint string) { return newSecret(tokenPrefix) }

// NewKey makes an API key, as NewToken makes a token.
func NewKey() (text string, hash []byte, hint string) { return newSecret(keyPrefix) }

func newSecret(prefix string) (text string, hash []byte, hint string) {
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails: the program ends where the system has no randomness
	text = prefix + base64.RawURLEncoding.EncodeToString(secret)
	sum := sha256.Sum256([]byte(text))
	return text, sum[:], text[len(text)-hintLength:]
}

var secretLength = base64.RawURLEncoding.EncodedLen(secretBytes)

// wellFormed spares the database what cannot be a credential of ours.
func wellFormed(text, prefix string) bool {
	return len(text) == len(prefix)+secretLength && strings.HasPrefix(text, prefix)
}
