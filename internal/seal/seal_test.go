package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"meibo/internal/seal"
)

func sealer(t *testing.T, secret, purpose string) *seal.Sealer {
	t.Helper()
	s, err := seal.New(secret, purpose)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeal(t *testing.T) {
	t.Parallel()
	secret, plain := strings.Repeat("k", seal.MinKey), []byte("kim@contoso.com")
	s := sealer(t, secret, "capture")
	sealed, err := s.Seal("acme", "id", plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, plain) {
		t.Error("the sealed text holds the plain one")
	}
	if again, _ := s.Seal("acme", "id", plain); bytes.Equal(again, sealed) {
		t.Error("the same text is sealed the same way twice: equal values can be told")
	}
	got, err := sealer(t, secret, "capture").Open("acme", "id", sealed) // as after a restart
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("opened: %q, %v", got, err)
	}
	altered := bytes.Clone(sealed)
	altered[len(altered)/2] ^= 1
	for what, open := range map[string]func() ([]byte, error){
		"another tenant":  func() ([]byte, error) { return s.Open("umbrella", "id", sealed) },
		"another name":    func() ([]byte, error) { return s.Open("acme", "other", sealed) },
		"another purpose": func() ([]byte, error) { return sealer(t, secret, "outbox").Open("acme", "id", sealed) },
		"another key": func() ([]byte, error) {
			return sealer(t, strings.Repeat("l", 40), "capture").Open("acme", "id", sealed)
		},
		"altered": func() ([]byte, error) { return s.Open("acme", "id", altered) },
		"cut off": func() ([]byte, error) { return s.Open("acme", "id", sealed[:8]) },
		"nothing": func() ([]byte, error) { return s.Open("acme", "id", nil) },
	} {
		if got, err := open(); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s: opened %q, %v", what, got, err)
		}
	}
	if _, err := seal.New(secret[1:], "capture"); err == nil {
		t.Error("a short key is taken")
	}
}
