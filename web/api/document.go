package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"
)

// version is the API's own: its major part is in the path.
const version = "1.0.0"

// documentConfig is what the document says beside its operations.
func documentConfig() huma.Config {
	c := huma.DefaultConfig("meibo", version)
	c.CreateHooks = nil // which would put $schema into answers
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.Info.Description = "The directory as the host application sees it, its changes, and its administration. " +
		"Every request needs an API key (`meibo key create`) of the tenant it is about."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Servers = []*huma.Server{{URL: Base}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{bearerKey: {Type: "http", Scheme: "bearer", BearerFormat: "meibokey_…"}}
	return c
}

// Document is the OpenAPI 3.1 document of the API, indented.
func Document() ([]byte, error) {
	_, a := build(Options{Log: zap.NewNop()})
	return a.document()
}

func (a *api) document() ([]byte, error) {
	compact, err := a.huma.OpenAPI().MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// documentOperation serves the document, which does not list itself. It is written when it is asked for first: that takes
// fifteen megabytes for a moment, and a megabyte for good, of a server that may never be asked.
func (a *api) documentOperation() {
	o := &huma.Operation{Method: http.MethodGet, Path: "/openapi.json", Metadata: map[string]any{rolesKey: everybody}}
	a.huma.Adapter().Handle(o, a.huma.Middlewares().Handler(func(ctx huma.Context) {
		document, err := a.written()
		if err != nil {
			callOf(ctx).fail(err)
			return
		}
		ctx.SetHeader("Content-Type", "application/openapi+json")
		_, _ = ctx.BodyWriter().Write(document) // the client is gone if this fails
	}))
}
