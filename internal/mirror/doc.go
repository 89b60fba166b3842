// Package mirror is a host application's copy of the directory, kept in the way that docs/api.md describes: made of what
// /api/v1 tells and of nothing else. Tests compare it with a full read.
package mirror
