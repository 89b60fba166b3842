package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"meibo/config"
	"meibo/internal/auth"
	"meibo/provisioning"
)

const (
	devTenant    = "default"
	devTokenFile = ".meibo-dev-token"
	devKeyFile   = ".meibo-dev-key"
)

// prepareDevelopment makes sure that there are a tenant and a token that counts, and says how to
// use them.
func (s *server) prepareDevelopment(ctx context.Context) (string, error) {
	_, err := s.service.CreateTenant(ctx, commandLine(devTenant))
	if err != nil && provisioning.KindOf(err) != provisioning.Conflict {
		return "", err
	}
	token, err := s.developmentToken(ctx)
	if err != nil {
		return "", err
	}
	url := s.base + "/t/" + devTenant + "/scim/v2"
	return fmt.Sprintf("tenant URL  %s\ntoken       %s\ntry         curl -H 'Authorization: Bearer %s' %s/Users\n", url, token, token, url), nil
}

// developmentToken is the one kept in a file, as long as it counts, so that a client under
// development need not be told a new one at each start.
func (s *server) developmentToken(ctx context.Context) (string, error) {
	kept, err := os.ReadFile(devTokenFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("development token: %w; remove the file to get a new one", err)
	}
	token := strings.TrimSpace(string(kept))
	_, err = s.auth.Authenticate(ctx, devTenant, token)
	if err == nil {
		return token, os.Chmod(devTokenFile, 0o600)
	}
	if _, refused := errors.AsType[auth.Refusal](err); !refused {
		return "", err
	}
	token, hash, hint := auth.NewToken()
	_, err = s.service.CreateCredential(ctx, commandLine(devTenant), provisioning.DefaultConnection, provisioning.NewCredential{Hash: hash, Hint: hint})
	if err != nil {
		return "", err
	}
	return token, writePrivate(devTokenFile, token+"\n")
}

// developmentKey is the secret key kept in a file, so that what was sealed can be read after a restart.
func developmentKey() (string, error) {
	kept, err := os.ReadFile(devKeyFile)
	if key := strings.TrimSpace(string(kept)); err == nil && len(key) >= config.MinSecret {
		return key, os.Chmod(devKeyFile, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("development key: %w; remove the file to get a new one", err)
	}
	key := rand.Text() + rand.Text() // 26 characters, 128 bits each
	return key, writePrivate(devKeyFile, key+"\n")
}

// writePrivate writes a file that only its owner may read, whatever its mode was before.
func writePrivate(path, content string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close())
}
