package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const (
	tokenPrefix = "meibo_"
	tokenBytes  = 32
	hintLength  = 4
)

var tokenLength = len(tokenPrefix) + base64.RawURLEncoding.EncodedLen(tokenBytes)

// NewToken makes a token: its text, to be shown once and never stored; its hash, to be stored; and
// its last characters, by which people tell tokens apart.
func NewToken() (text string, hash []byte, hint string) {
	secret := make([]byte, tokenBytes)
	rand.Read(secret) // never fails: the program ends where the system has no randomness
	text = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret)
	sum := sha256.Sum256([]byte(text))
	return text, sum[:], text[len(text)-hintLength:]
}

// wellFormed spares the database what cannot be a token of ours.
func wellFormed(token string) bool {
	return len(token) == tokenLength && strings.HasPrefix(token, tokenPrefix)
}
