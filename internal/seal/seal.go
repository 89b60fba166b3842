// Package seal keeps what a database holds unreadable without the server's secret key: AES-256-GCM under keys that
// HKDF-SHA256 derives from it, one for each purpose and tenant.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
)

// MinKey is how long a secret key is at least, in bytes.
const MinKey = 32

// ErrOpen is what opening comes to where something was sealed with another key, for another tenant or under another
// name, or was changed since.
var ErrOpen = errors.New("sealed with another key, or altered")

// Sealer seals for one purpose. It is safe for concurrent use.
type Sealer struct {
	secret  []byte
	purpose string
	keys    sync.Map // tenant → cipher.AEAD
}

// New returns a Sealer. What one purpose sealed, another does not open.
func New(secret, purpose string) (*Sealer, error) {
	if len(secret) < MinKey {
		return nil, fmt.Errorf("the secret key has %d bytes; it needs %d at least", len(secret), MinKey)
	}
	return &Sealer{secret: []byte(secret), purpose: purpose}, nil
}

// Seal returns plain sealed: a nonce, the ciphertext and its tag. It opens for the same tenant and name only.
func (s *Sealer) Seal(tenant, name string, plain []byte) ([]byte, error) {
	key, err := s.key(tenant)
	if err != nil {
		return nil, err
	}
	return key.Seal(nil, nil, plain, []byte(name)), nil
}

// Open returns what was sealed. ErrOpen.
func (s *Sealer) Open(tenant, name string, sealed []byte) ([]byte, error) {
	key, err := s.key(tenant)
	if err != nil {
		return nil, err
	}
	plain, err := key.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// key is a tenant's own, so that random nonces stay far from repeating (NIST SP 800-38D §8.3).
func (s *Sealer) key(tenant string) (cipher.AEAD, error) {
	if key, known := s.keys.Load(tenant); known {
		return key.(cipher.AEAD), nil
	}
	derived, err := hkdf.Key(sha256.New, s.secret, nil, "meibo "+s.purpose+" "+tenant, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	key, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	kept, _ := s.keys.LoadOrStore(tenant, key)
	return kept.(cipher.AEAD), nil
}
