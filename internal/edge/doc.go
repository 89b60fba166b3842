// Package edge holds what every HTTP surface of the server does alike, whatever protocol it speaks:
// finding the credential, keeping a caller's rate, making the span of a request.
package edge
