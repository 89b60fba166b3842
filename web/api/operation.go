package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/internal/edge"
	"meibo/provisioning"
)

// Who may call what.
var (
	everybody = provisioning.KeyRoles()
	people    = []provisioning.KeyRole{provisioning.KeyOwner, provisioning.KeyOperator, provisioning.KeySupport}
	operators = []provisioning.KeyRole{provisioning.KeyOwner, provisioning.KeyOperator}
	owners    = []provisioning.KeyRole{provisioning.KeyOwner}
)

// operation declares one address with a method.
type operation struct {
	id, method, path string
	summary          string
	description      string
	tag              string
	roles            []provisioning.KeyRole // who may call it
	errors           []int                  // beside those that every operation has
	success          int                    // 0 for 200
	media            []string               // of an answer that is a file or a stream
	page             reflect.Type           // of an answer that is JSON as well, with a Link; nil for none
	maxBody          int64                  // bytes; 0 for the usual
}

const (
	rolesKey  = "x-meibo-roles" // of an operation's metadata and of its entry in the document
	maxBody   = 64 << 10
	bearerKey = "key" // name of the security scheme
)

// register makes an operation's handler reachable. h gets a caller who may call it, and parameters
// and a body that the document allows.
func register[I, O any](a *api, o operation, h func(*call, *I) (*O, error)) {
	success := o.success
	if success == 0 {
		success = http.StatusOK
	}
	declared := o.declaration(a.huma.OpenAPI().Components.Schemas, success)
	huma.Register(a.huma, declared, func(ctx context.Context, in *I) (*O, error) {
		c := callIn(ctx)
		c.success = success
		out, err := h(c, in)
		if err != nil {
			return nil, c.problem(err)
		}
		return out, nil
	})
	a.allowNull(declared)
}

// allowNull has the document say what is so: in a body null is as if it were left out.
func (a *api) allowNull(o huma.Operation) {
	document := a.huma.OpenAPI()
	body := bodyOf(document.Paths[o.Path], o.Method)
	if body == nil {
		return
	}
	s := body.Content["application/json"].Schema
	if s.Ref != "" {
		s = document.Components.Schemas.SchemaFromRef(s.Ref)
	}
	for name, property := range s.Properties {
		if slices.Contains(s.Required, name) || property.Type == "" {
			continue
		}
		property.Nullable = true
		if len(property.Enum) > 0 && !slices.Contains(property.Enum, nil) {
			property.Enum = append(property.Enum, nil)
		}
	}
}

// bodyOf is what an operation is sent; nil for nothing.
func bodyOf(item *huma.PathItem, method string) *huma.RequestBody {
	for m, o := range map[string]*huma.Operation{http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch} {
		if m == method {
			return o.RequestBody
		}
	}
	return nil
}

// declaration is the operation in the words of the document.
func (o operation) declaration(schemas huma.Registry, success int) huma.Operation {
	names := make([]string, len(o.roles))
	for i, r := range o.roles {
		names[i] = string(r)
	}
	codes := slices.Concat(o.errors, []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable})
	if o.method != http.MethodGet && o.method != http.MethodDelete {
		codes = append(codes, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	slices.Sort(codes)
	var parameters []*huma.Param
	if takesUnmask(o.roles) {
		parameters = append(parameters, unmaskParameter())
	}
	return huma.Operation{
		Parameters:  parameters,
		Responses:   o.files(schemas, success),
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag},
		Summary: o.summary, Description: strings.TrimSpace(o.description + "\n\nRoles: " + strings.Join(names, ", ") + "."),
		DefaultStatus: success, Errors: slices.Compact(codes),
		MaxBodyBytes: cmp.Or(o.maxBody, maxBody), BodyReadTimeout: bodyTimeout,
		RejectUnknownQueryParameters: true, // a filter that is misspelt would select everybody
		Metadata:                     map[string]any{rolesKey: o.roles},
		Extensions:                   map[string]any{rolesKey: names},
		Security:                     []map[string][]string{{bearerKey: {}}},
	}
}

// files is the answer of an operation that is a file; nil for JSON alone, which the handler's type describes.
func (o operation) files(schemas huma.Registry, success int) map[string]*huma.Response {
	if o.media == nil {
		return nil
	}
	out := &huma.Response{Description: http.StatusText(success), Content: map[string]*huma.MediaType{}}
	for _, media := range o.media {
		kind := huma.TypeString
		if media == "application/json" { // a document that is streamed
			kind = huma.TypeObject
		}
		out.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: kind}}
	}
	if o.page != nil {
		out.Content["application/json"] = &huma.MediaType{Schema: schemas.Schema(o.page, true, "")}
		out.Headers = map[string]*huma.Param{"Link": {Description: linkDoc, Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	return map[string]*huma.Response{strconv.Itoa(success): out}
}

// callKey is where a request's call lies in its context on the way through huma, which hands
// nothing else on. Only register looks there.
type callKey struct{}

func callIn(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func callOf(ctx huma.Context) *call { return humaecho.Unwrap(ctx).(*framed).call }

// admit lets only the holder of a key through that counts and whose role the operation names, within its rate.
func (a *api) admit(ctx huma.Context, next func(huma.Context)) {
	c := callOf(ctx)
	err := c.authorize(ctx.Operation())
	if err == nil {
		err = c.checkGiven()
	}
	if err == nil {
		err = c.unveil(ctx.Operation())
	} else if c.holder.Key.ID != "" && masked(c.holder.Key.Role) {
		c.hide(ctx.Operation())
	}
	if err != nil {
		c.fail(err)
		return
	}
	next(huma.WithValue(ctx, callKey{}, c))
}

// checkGiven refuses parameters that are given twice, or given without a value: read over, a filter without one would
// select everybody.
func (c *call) checkGiven() error {
	p := newProblem(http.StatusUnprocessableEntity, codes[provisioning.Invalid], requestFaults[http.StatusUnprocessableEntity])
	query, err := url.ParseQuery(c.echo.Request().URL.RawQuery)
	if err != nil {
		p.Errors = append(p.Errors, Fault{Location: "query", Message: "expected URL encoding"})
	}
	for name, values := range query {
		if len(values) != 1 || values[0] == "" {
			p.Errors = append(p.Errors, Fault{Location: location("query." + name), Message: "expected one value"})
		}
	}
	if len(p.Errors) > 0 {
		return p
	}
	return nil
}

// identify finds whose key the request has.
func (c *call) identify() (auth.Holder, error) {
	text := edge.Bearer(c.echo.Request().Header)
	holder, err := c.Authenticate(c.context(), text)
	switch {
	case provisioning.KindOf(err) == provisioning.Unavailable:
		return auth.Holder{}, err
	case err != nil && text == "":
		return auth.Holder{}, errNoKey
	case err != nil:
		return auth.Holder{}, errBadKey
	}
	return holder, nil
}

func (c *call) authorize(o *huma.Operation) error {
	holder, err := c.identify()
	if err != nil {
		return err
	}
	c.holder = holder
	if wait, ok := c.limits.Take(holder.Key.ID); !ok {
		c.throttled, c.untold = true, !c.limits.Tells(holder.Key.ID)
		return &edge.Throttled{By: "with this key", Wait: wait}
	}
	roles, _ := o.Metadata[rolesKey].([]provisioning.KeyRole)
	if !slices.Contains(roles, holder.Key.Role) {
		return &provisioning.Error{Kind: provisioning.Forbidden,
			Detail: "this key's role may not do that; use a key of another role, which an owner can create"}
	}
	return nil
}

// problem is err as the answer to this call; its headers are set. The text of an unknown error goes to the log only.
func (c *call) problem(err error) *Problem {
	p := translate(err)
	p.CorrelationID = c.correlation
	switch p.Status {
	case http.StatusInternalServerError:
		c.Log.Error("internal error", zap.String("correlationId", c.correlation), zap.Error(err))
		p.Detail = "internal error; the server's log has it under the correlation id"
	case http.StatusServiceUnavailable:
		if !errors.Is(err, context.Canceled) {
			c.Log.Warn("request not served", zap.String("correlationId", c.correlation), zap.Int("status", p.Status), zap.Error(err))
		}
	}
	edge.RefusalOf(err, p.Status, errors.Is(err, errNoKey), c.echo.Get(echo.ContextKeyHeaderAllow)).Set(c.echo.Response().Header())
	return p
}
