package api

import (
	"bufio"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"meibo/provisioning"
	"meibo/scim"
)

// Erase confirms that a person's values are to be erased.
type Erase struct {
	UserName string `json:"userName" minLength:"1" maxLength:"2048" doc:"The user's userName once more, as it is shown; the id where nothing is left of the name."`
	Remove   bool   `json:"remove,omitempty" doc:"Remove the user first. Without it a user who is not removed is refused (412)."`
}

// Erasure is what was erased.
type Erasure struct {
	Entries  int       `json:"entries" minimum:"0" doc:"Entries of the journal that lost values. Their skeletons stay."`
	Matters  int       `json:"matters" minimum:"0"`
	Jobs     int       `json:"jobs" minimum:"0"`
	Captures int       `json:"captures" minimum:"0" doc:"Captured requests that told of the user."`
	Unread   int       `json:"capturesUnread" minimum:"0" doc:"Captured requests, of whomever they were, that were deleted since the server's secret_key does not open them."`
	Settings []NamedIn `json:"settings" doc:"Versions of settings that name the user. They stay as they are: see to them by hand."`
}

// NamedIn is a version of a connection's settings.
type NamedIn struct {
	Connection string `json:"connection"`
	Version    int64  `json:"version" minimum:"1"`
	InForce    bool   `json:"inForce"`
}

type eraseInput struct {
	ID   string `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	Body Erase
}

func (a *api) eraseOperations() {
	register(a, operation{id: "eraseUser", method: http.MethodPost, path: "/users/{id}/erase", tag: accountsTag, roles: owners, success: http.StatusOK,
		errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}, summary: "Erase a person",
		description: "Takes all values of a user from everything that is kept, the journal included. Ids, times, actions and outcomes stay. It cannot be undone. Who is protected is refused."},
		(*call).erase)
	register(a, operation{id: "exportSubject", method: http.MethodGet, path: "/users/{id}/subject-export", tag: accountsTag, roles: owners, media: []string{"application/json"},
		errors: []int{http.StatusNotFound}, summary: "Export everything held about a person",
		description: "One JSON object: the row with both documents, and what an erasure would take: groups, matters, results of jobs, settings, captured requests and entries that tell of the user. An entry of the journal says who asked for it."},
		(*call).exportSubject)
}

// exportSubject streams. What fails once it has begun breaks the connection off.
func (c *call) exportSubject(in *idInput) (*huma.StreamResponse, error) {
	if _, err := c.find(scim.User, in.ID); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", "application/json; charset=utf-8")
		ctx.SetHeader("Content-Disposition", `attachment; filename="`+in.ID+`.json"`)
		out := bufio.NewWriterSize(patientWriter{c}, streamBuffer)
		err := c.Service.ExportSubject(c.context(), c.origin(), in.ID, out)
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			c.fail(err)
		}
	}}, nil
}

func (c *call) erase(in *eraseInput) (*single[Erasure], error) {
	stored, err := c.Service.Account(c.context(), c.tenant(), scim.User, in.ID)
	if err != nil {
		return nil, err
	}
	r, err := (&reader{call: c}).read(stored)
	if err != nil {
		return nil, err
	}
	if name, _ := r.attributes["userName"].(string); in.Body.UserName != name && (name != "" || in.Body.UserName != in.ID) {
		return nil, &provisioning.Error{Kind: provisioning.Invalid, Attribute: "userName",
			Detail: "that is not the userName of the user with that id; repeat it as it is shown, so that nobody else is erased"}
	}
	done, err := c.Service.Erase(c.context(), c.origin(), in.ID, in.Body.Remove)
	_ = http.NewResponseController(c.echo.Response()).SetWriteDeadline(time.Now().Add(pieceTimeout)) // it may have taken long; a test's recorder has none
	if err != nil {
		return nil, err
	}
	out := Erasure{Entries: done.Entries, Matters: done.Matters, Jobs: done.Jobs, Captures: done.Captures, Unread: done.Unread, Settings: make([]NamedIn, len(done.Settings))}
	for i, s := range done.Settings {
		out.Settings[i] = NamedIn{s.Connection, s.Version, s.InForce}
	}
	return &single[Erasure]{out}, nil
}
