package summary

import (
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"
	"time"

	"meibo/provisioning"
)

// Filter is what people ask the log for: entries that satisfy all that is given. The API has each as a parameter, the
// command line as a flag.
type Filter struct {
	Since         time.Time `query:"since" doc:"From then on."`
	Until         time.Time `query:"until" doc:"Before then."`
	Connection    string    `query:"connection" pattern:"^[a-z0-9-]{1,40}$" doc:"Of this connection."`
	Action        string    `query:"action" enum:"create,update,disable,delete,stagedDelete,other" doc:"What was asked for."`
	Outcome       string    `query:"outcome" enum:"success,failure,skipped,warning" doc:"How it went."`
	Reason        string    `query:"reason" pattern:"^[A-Za-z]{1,64}$" doc:"Why it was decided so: the code of a reason, such as kept."`
	Resource      string    `query:"resource" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"About the user or group with this id."`
	Name          string    `query:"name" minLength:"1" maxLength:"1024" doc:"About whom had this userName or displayName at the time, whatever its case."`
	Prefix        string    `query:"prefix" minLength:"1" maxLength:"1024" doc:"The same, of a name that begins so. A key of the role support says with unmask why."`
	Mail          string    `query:"mail" minLength:"1" maxLength:"1024" doc:"About users who have this address now, or had it last."`
	ExternalID    string    `query:"externalId" minLength:"1" maxLength:"1024" doc:"About users and groups that a client calls so now, or called so last."`
	Member        string    `query:"member" minLength:"1" maxLength:"1024" doc:"A group's members changed, and this id is named."`
	Method        string    `query:"method" enum:"GET,POST,PUT,PATCH,DELETE" doc:"Of the request."`
	Status        string    `query:"status" pattern:"^[1-5]([0-9][0-9]|xx)$" doc:"What the request was answered: a code, or a class such as 4xx."`
	Cycle         string    `query:"cycle" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"Of one cycle, as /cycles names it."`
	CorrelationID string    `query:"correlationId" minLength:"1" maxLength:"64" doc:"Of one request or run."`
	Slower        int       `query:"slower" minimum:"1" maximum:"86400000" doc:"The request took so many milliseconds, or more."`
}

// Query is the filter as the core has it, for the connection that Connection names: 0 without one. What Cycle means is for
// the core to say (InCycle).
func (f Filter) Query(connection int64) (provisioning.EntryQuery, error) {
	status, err := statusOf(f.Status)
	return provisioning.EntryQuery{Since: f.Since, Until: f.Until, Connection: connection,
		Action: provisioning.JournalAction(f.Action), Outcome: provisioning.Outcome(f.Outcome), Reason: f.Reason,
		Resource: f.Resource, Name: f.Name, Prefix: f.Prefix, Mail: f.Mail, ExternalID: f.ExternalID, Member: f.Member,
		Method: f.Method, Status: status, Correlation: f.CorrelationID, Slower: time.Duration(f.Slower) * time.Millisecond}, err
}

// statusOf reads a status code, or a class: 4xx is 4. Invalid for anything else; "" is 0.
func statusOf(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "xx"))
	if isClass := strings.HasSuffix(text, "xx"); err != nil || isClass && (n < 1 || n > 5) || !isClass && (n < 100 || n > 599) {
		return 0, &provisioning.Error{Kind: provisioning.Invalid, Attribute: "status", Detail: fmt.Sprintf("%q is no status; name a code such as 409, or a class such as 4xx", text)}
	}
	return n, nil
}

// Without is the filter without one of its conditions, by the name of each that is given.
func (f Filter) Without() iter.Seq2[string, Filter] {
	return func(yield func(string, Filter) bool) {
		given := reflect.ValueOf(f)
		for i := range given.NumField() {
			if given.Field(i).IsZero() {
				continue
			}
			less := f
			reflect.ValueOf(&less).Elem().Field(i).SetZero()
			if !yield(given.Type().Field(i).Tag.Get("query"), less) {
				return
			}
		}
	}
}
