// Package witness testifies about a tenant from two sides, for the tests of the whole: from the rows of the database,
// read behind the product's back, and from the journal, read as somebody would who has nothing but its description (the
// comments of provisioning.Entry and AttributeChange). No code of the product that makes entries or rows is used, so
// that the two agree only if the product is right.
package witness
