// Package impact asks a host application over HTTP what hangs on an account that is to go. docs/impact.md is the
// contract.
package impact

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"meibo/internal/webhook"
	"meibo/provisioning"
	"meibo/scim"
)

// Bounds of an answer.
const (
	maxAnswer = 64 << 10 // bytes
	maxCounts = 32
	maxName   = 64      // characters
	maxCount  = 1 << 53 // what every reader of JSON keeps exactly
)

const (
	dialTimeout   = 5 * time.Second
	idleTimeout   = 30 * time.Second
	maxHeader     = 16 << 10
	idlePerServer = 2
)

// Client asks. It is safe for concurrent use.
type Client struct {
	key  webhook.Key
	http *http.Client
}

// New returns a client that signs with a key. It goes to the very address that settings name: through no proxy that the
// environment may have, and nowhere that an answer points to.
func New(key webhook.Key) *Client {
	return &Client{key: key, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    idlePerServer,
			IdleConnTimeout:        idleTimeout,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}}
}

// question is the body of a request.
type question struct {
	Tenant     string   `json:"tenant"`
	Connection string   `json:"connection"`
	Matter     string   `json:"matter"`
	Cause      string   `json:"cause"`
	Resource   resource `json:"resource"`
	At         string   `json:"at"` // RFC 3339
}

type resource struct {
	ID          string `json:"id"`
	Type        string `json:"type"`
	ExternalID  string `json:"externalId,omitempty"`
	UserName    string `json:"userName,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
}

// Ask implements provisioning.Options.Impact. The texts of its errors are ours: they hold nothing that came back.
func (c *Client) Ask(ctx context.Context, q provisioning.ImpactQuery) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	r := resource{ID: q.Resource.ID, Type: string(q.Resource.Type), ExternalID: q.Resource.ExternalID}
	if q.Resource.Type == scim.Group {
		r.DisplayName = q.Resource.Name
	} else {
		r.UserName = q.Resource.Name
	}
	body, err := json.Marshal(question{q.Tenant, q.Connection, q.Matter, q.Cause, r, q.At.UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, q.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address in matters.impact.url is no URL")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "meibo")
	c.key.Sign(request.Header, q.ID, q.At, body)
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fault(err, q.Timeout)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered with status %d instead of 200", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, fault(err, q.Timeout)
	}
	return counts(text)
}

// fault is why there was no answer, without what a library quotes of one.
func fault(err error, timeout time.Duration) error {
	var dial *net.OpError
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s", timeout)
	case errors.As(err, &name):
		return errors.New("its name cannot be looked up")
	case errors.As(err, &certificate):
		return errors.New("its certificate is not trusted, or of another host")
	case errors.As(err, &dial) && dial.Op == "dial":
		return errors.New("cannot be connected to")
	default:
		return errors.New("the connection broke off before there was an answer")
	}
}

// counts reads an answer: an object with an object of counts by name.
func counts(text []byte) (map[string]int64, error) {
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	// In two steps, since names are exact here: encoding/json would take "Counts" for the field of a struct.
	var answer map[string]json.RawMessage
	var named map[string]json.RawMessage
	if json.Unmarshal(text, &answer) != nil || json.Unmarshal(answer["counts"], &named) != nil || named == nil {
		return nil, errors.New(`the answer is not a JSON object with an object "counts"`)
	}
	if len(named) > maxCounts {
		return nil, fmt.Errorf("the answer has more than %d counts", maxCounts)
	}
	out := make(map[string]int64, len(named))
	for name, value := range named {
		n, err := strconv.ParseUint(string(value), 10, 64)
		switch {
		case !isName(name):
			return nil, fmt.Errorf("the name of a count is not 1 to %d visible characters", maxName)
		case err != nil || n > maxCount:
			return nil, errors.New("a count is not a whole number from 0 on")
		}
		out[name] = int64(n)
	}
	return out, nil
}

func isName(name string) bool {
	n := utf8.RuneCountInString(name)
	for _, r := range name {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return false
		}
	}
	return n >= 1 && n <= maxName
}
