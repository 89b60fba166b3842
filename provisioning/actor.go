package provisioning

import (
	"strings"
	"unicode"

	"meibo/scim"
)

// Actors, as the journal names them, that have no name of their own.
const (
	CommandLine = "command line" // an administrator on the server itself
	Schedule    = "schedule"     // what time brings
)

const (
	tokenActor = "token …"
	keyActor   = "key of "
)

// TokenActor is the client that holds a connection's token with that hint.
func TokenActor(hint string) string { return tokenActor + hint }

// KeyActor is the holder of an API key.
func KeyActor(holder string) string { return keyActor + holder }

// Initiator is what an actor is, in the words of Entra's provisioning log.
type Initiator string

// The initiators. A key may be held by a person or by a system that acts for one.
const (
	InitiatorUser        Initiator = "user"
	InitiatorApplication Initiator = "application"
	InitiatorSystem      Initiator = "system"
)

// InitiatorOf tells what an actor is, and its name for people.
func InitiatorOf(actor string) (kind Initiator, name string) {
	switch holder, isKey := strings.CutPrefix(actor, keyActor); {
	case isKey:
		return InitiatorUser, holder
	case strings.HasPrefix(actor, tokenActor):
		return InitiatorApplication, actor
	case actor == Schedule, actor == ActorRetention:
		return InitiatorSystem, actor
	default:
		return InitiatorUser, actor
	}
}

// samePerson reports whether two actors are one person, however the name is written: letter case, the form of a character,
// blanks, and what nobody sees make no second one.
func samePerson(a, b string) bool { return personOf(a) == personOf(b) }

func personOf(actor string) string {
	seen := strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
			return -1
		}
		return r
	}, actor)
	return strings.Join(strings.Fields(scim.FoldFull.Apply(seen)), " ")
}
