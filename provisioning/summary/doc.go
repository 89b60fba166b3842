// Package summary is an entry of the journal for people's tools: the words of the provisioningObjectSummary of Entra's
// provisioning logs where those have a word for it, and ours beside them under "meibo". The API and the command line
// show the very same object, as JSON and as a row of CSV.
//
// Nothing of it is made up: what an entry does not tell is absent. So a step is listed if the entry shows that it was
// taken and how it went.
package summary
