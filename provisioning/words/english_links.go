package words

// englishLinks say what each link of a chain has to say.
var englishLinks = Catalogue{
	"link.source.client":   `the client of connection "{connection}" sent {method} {path} and was answered {answer}[, in the way of {dialect}].`,
	"link.source.person":   `{actor} chose it[ with {method} {path}].`,
	"link.source.file":     `{actor} imported a file with it.`,
	"link.source.run":      `a run of the server ({job}) decided anew on what is asserted, because settings or memberships had changed.`,
	"link.source.undo":     `an undo that {actor} ordered (run {job}) took it back.`,
	"link.source.schedule": `nobody asked for it: it was time.`,
	"link.source.side":     `it made room for another account ({other}), in the same unit of work.`,
	"link.source.member":   `it follows from what became of a member ({other}).`,

	"link.match.id":        `the request named {who} by its id.`,
	"link.match.none":      `connection "{connection}" has no {type} with the id that the request named.`,
	"link.match.new":       `nothing that was there was meant, so that {who} is new.`,
	"link.match.alike":     `the stable key ({by}) is that of {candidates} too. An account is taken back only if it alone has the key and the client saw it no longer, so that {who} is new.`,
	"link.match.stableKey": `the stable key ({by}) is that of an account which the client no longer saw: it is the same one.`,
	"link.match.adopted":   `the {by} is that of an account which connection "{connection}" did not own, and the settings have it adopted.`,
	"link.match.person":    `a person said that {who} is meant.`,
	"link.match.asked":     `the {by} is that of an account which connection "{connection}" does not own[ ({candidates})], and the settings have a person asked.`,

	"link.mapping.source":           `{attribute} is {value}, because row {row} of the mapping takes it from {rule}[: {reads}].`,
	"link.mapping.expression":       `{attribute} is {value}, because row {row} of the mapping makes it by {rule}[ from {reads}].`,
	"link.mapping.expression.guess": `{attribute} is {value}, which is a guess that nobody confirmed: row {row} of the mapping proposes it by {rule}[ from {reads}].`,
	"link.mapping.constant":         `{attribute} is {value}, because row {row} of the mapping says so for everybody.`,
	"link.mapping.default":          `{attribute} is {value}, the default of row {row} of the mapping, because {rule} came out empty[ from {reads}].`,
	"link.mapping.unset":            `{attribute} has no value, because row {row} of the mapping ({rule}) came out empty[ from {reads}] and has no default.`,
	"link.mapping.kept":             `{attribute} stays {value}, because row {row} of the mapping ({rule}) applies when an account is created, and never again.`,
	"link.mapping.kept.guess":       `{attribute} stays {value}, a guess that nobody confirmed, because row {row} of the mapping ({rule}) applies when an account is created, and never again.`,
	"link.mapping.passed":           `{attribute} stays {value}, because row {row} of the mapping ({rule}) came out empty and leaves it alone then.`,
	"link.mapping.override":         `{attribute} is {value}, because a person chose so; no synchronisation changes it.`,
	"link.mapping.failed":           `{attribute} has no value that it may have: by row {row} of the mapping ({rule}) {fault}.`,
	"link.mapping.local":            `the userName is {value}, because the settings have only what comes before the @ shown[ of {reads}].`,
	"link.mapping.frozen":           `the userName stays {value}, because the settings keep the one that an account was created with[: the client has {reads}].`,
	"link.mapping.tombstone":        `the userName stays {value}: the client renamed the account on its way out[ to {reads}], or it gave its own up, and the application never sees such a name.`,
	"link.mapping.undone":           `{attribute} is {value}, because an undo brought it back; it stays so until the client asserts the same.`,
	"link.mapping.asserted":         `{attribute} is {value}, because the client asserts so and no rule changes it.`,

	"link.scope.in":  `it is within the scope of the connection: {rule}.`,
	"link.scope.out": `it is outside the scope of the connection: {rule}.`,

	"link.role.kept":   `the role {asked} was asked for, and the role stays {role}: no client gives or takes a role that is guarded.`,
	"link.role.chosen": `the role is {role}, because a person chose it.`,
	"link.role.given":  `the role is {role}, as the settings give it for what the client asserts.`,

	"link.policy.says": `{cause}; for that, {settings} say: {policy}.`,

	"link.policy.asked": `{settings} have the application asked what hangs on an account before it is removed; until it has said so, the account is held.`,

	"link.guard.kept":    `it is protected, because {because}: the effect is withheld.`,
	"link.guard.refused": `it is protected, and {settings} refuse the whole request in that case.`,
	"link.guard.clear":   `it is not protected.`,

	"link.tolerance.delayed":  `{spent} of {of} {counted} left within {window}; one more would reach {limit}, so that it waits for a person, and the client repeats it.`,
	"link.tolerance.held":     `{spent} of {of} {counted} left within {window}; one more would reach {limit}, so that it is held for a person.`,
	"link.tolerance.passed":   `the tolerance let it go, or a person had allowed it.`,
	"link.tolerance.off":      `the settings have no tolerance.`,
	"link.tolerance.rejected": `a person had rejected it, so that it is ignored.`,

	"link.effect.changed": `version {number} was stored[: {attributes}][; {added} joined][; {removed} left].`,
	"link.effect.nothing": `nothing was changed.`,
	"link.effect.refused": `nothing was changed, because {error}[; the answer was {answer}]: {detail}`,

	"link.seen.state": `the application sees {who} as {state}[, and reads it in /changes at position {position}].`,
}

// englishLacks say why a decision cannot be made again.
var englishLacks = Catalogue{
	"lacks.decision": `nothing was decided: what was asked for does not exist, or could not be read`,
	"lacks.request":  `the log does not hold what the refused request wanted; a captured request does`,
	"lacks.values":   `the values that it went by were erased`,
	"lacks.history":  `older entries, which it follows from, were purged`,
}

// englishVerdicts say why somebody is not there, or not as expected, and answer what somebody is.
var englishVerdicts = Catalogue{
	"verdict.neverSent":         `no request named {who}, as far as the log goes back ({since}): the client has not sent anybody of that userName, and nobody has it for a mail address or externalId now (nobody looks for earlier ones). Look whether the person is assigned to the application in the client.`,
	"verdict.refused":           `what the client of connection "{connection}" asked for {who} was refused {times}, last at {at}, because {error}: {detail}`,
	"verdict.mappingFailed":     `what the client of connection "{connection}" asked for {who} was refused {times}, last at {at}: {detail}.`,
	"verdict.refused.run":       `the settings of connection "{connection}" (version {version}) cannot be applied to {who}, who stays as before, as a job found at {at}: {detail}`,
	"verdict.mappingFailed.run": `the settings of connection "{connection}" (version {version}) cannot be applied to {who}, who stays as before, as a job found at {at}: {detail}.`,
	"verdict.asked":             `{who} waits for a person to say whose account it is, because its {by} is that of an account which connection "{connection}" does not own[: {candidates}].`,
	"verdict.ignored":           `{who} goes on as it was although the client of connection "{connection}" says otherwise, because the settings, or a person, have that ignored[; since {at}].`,
	"verdict.ignored.adoption":  `{who} is refused, because {actor} chose that the account which it may mean is not managed by connection "{connection}".`,
	"verdict.outOfScope":        `{who} is {state}, because it has been outside the scope of connection "{connection}"[ since {at}].`,
	"verdict.held":              `{who} waits for a person to decide, because {cause}; the client asked {times}.`,
	"verdict.withheld":          `{who} goes on as it was although {cause}, because {because}; a person may allow it.`,
	"verdict.withheld.role":     `{who} keeps the role {role} although the client asks for {asked}, because no client gives or takes a role that is guarded; a person may allow it.`,
	"verdict.delayed":           `{who} has not left yet although {cause}, because more would leave at once than the tolerance lets go; the client asked {times}, and a person may allow it.`,
	"verdict.deactivated":       `{who} is {state}, because the client of connection "{connection}" said at {at} that the account is not active.`,
	"verdict.deleted":           `{who} is {state}, because the client of connection "{connection}" deleted the account at {at}.`,
	"verdict.byPerson":          `{who} is {state}, because {actor} chose so at {at}.`,
	"verdict.aged":              `{who} is {state}, because the account had been suspended for as long as the settings say; that was at {at}.`,
	"verdict.erased":            `{who} was removed, and erased at {at}.`,
	"verdict.renamed":           `{who} is there under another userName: {value}[, since {at}].`,
	"verdict.renamed.gone":      `{who} had another userName last[: {value}][, since {at}].`,
	"verdict.renamed.person":    `{who} is there under another userName, {value}, because a person chose it[: {actor}][, at {at}].`,
	"verdict.anotherConnection": `connection "{connection}" asked for {who} {times}, last at {at}, and was refused, because the account is not its own[ but that of connection "{name}"].`,
	"verdict.userNameFrozen":    `{who} is called {was} by its client and {value} by the application, because the settings keep the userName that an account was created with.`,
	"verdict.paused":            `connection "{connection}" is paused: its client is told to come back later, and nothing is done.`,
	"verdict.silent":            `nothing was heard of the client of connection "{connection}" since {at}, which is longer than usual.`,
	"verdict.healthy":           `there is nothing wrong with {who}: the account is active, and as its client has it.`,

	"answer.state":       `{who} is {state}, since {at}.`,
	"answer.role":        `{who} has the role {role}, since {at}.`,
	"answer.role.chosen": `{who} has the role {role}, since {at}, because a person chose it; no synchronisation changes it.`,
	"answer.attribute":   `the {attribute} of {who} is {value}, since {at}.`,
}
