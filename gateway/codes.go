package gateway

import (
	"slices"
	"strings"

	"gatehouse/fhir"
)

// Codes are the stable codes that OperationOutcomes carry, those of fhir.Parse
// included, sorted: the source of docs/errors.md.
func Codes() []fhir.Code {
	all := append(slices.Clone(fhir.Codes), codes...)
	slices.SortStableFunc(all, func(a, b fhir.Code) int { return strings.Compare(a.Code, b.Code) })
	return all
}

var codes = []fhir.Code{
	{Code: "admin.browser", Status: 403, Meaning: "A browser sent the request; the admin API is for tools."},
	{Code: "admin.not-found", Status: 404, Meaning: "The admin API has no such path or method, or what the path names is not there."},
	{Code: "admin.off", Status: 403, Meaning: "The configuration has no admin_auth, so the admin API is closed."},
	{Code: "admin.role", Status: 403, Meaning: "The token does not hold the admin role that this needs."},
	{Code: "audit.unavailable", Status: 503, Meaning: "The access could not be recorded, so it was not given. After a write the status is 500: the change was made and its outcome could not be recorded."},
	{Code: "batch.too-long", Status: 413, Meaning: "The answer to an entry is too long for a batch; ask for it by itself."},
	{Code: "conditional.ambiguous", Status: 412, Meaning: "The criteria of a conditional interaction match more than one resource that you may see."},
	{Code: "conditional.none", Status: 412, Meaning: "A conditional reference matches nothing that you may see."},
	{Code: "export.async", Status: 400, Meaning: "An export is a request of its own, with the header Prefer: respond-async."},
	{Code: "export.failed", Status: 502, Meaning: "The export failed at the FHIR server behind the gateway. Begin another."},
	{Code: "export.filter", Status: 400, Meaning: "A _typeFilter is of a type that is not exported, or looks over a chain at what you may not see whole."},
	{Code: "export.foreign", Status: 502, Meaning: "The FHIR server behind the gateway puts the export on another host, where nobody would judge it."},
	{Code: "export.unsupported", Status: 400, Meaning: "The FHIR server behind the gateway does not do this export."},
	{Code: "gateway.busy", Status: 503, Meaning: "The gateway is reading as many bodies as it can hold. Retry-After says how long to wait."},
	{Code: "gateway.internal", Status: 500, Meaning: "The gateway failed. Report the request id."},
	{Code: "issuer.unavailable", Status: 503, Meaning: "The authorization server's keys or its answer about the token cannot be had. Try again."},
	{Code: "limit.address", Status: 429, Meaning: "Too many requests from your network address. Retry-After says how long to wait."},
	{Code: "limit.client", Status: 429, Meaning: "Your client has used up its share of requests, entries, bytes or patients. Retry-After says how long to wait."},
	{Code: "operation.parameter", Status: 400, Meaning: "The operation does not take such a parameter, or needs another."},
	{Code: "operation.unsupported", Status: 403, Meaning: "The gateway cannot judge what the operation returns, so it does not offer it."},
	{Code: "page.changed", Status: 400, Meaning: "A page link is followed as it stands; nothing can be added to it."},
	{Code: "patch.failed", Status: 422, Meaning: "The patch cannot be applied to the resource as it is."},
	{Code: "patch.media-type", Status: 415, Meaning: "The patch is of a form that the gateway does not apply."},
	{Code: "patch.reads", Status: 403, Meaning: "The patch tests, copies or moves what you may not read whole."},
	{Code: "policy.denied", Status: 403, Meaning: "The rules of the organization do not let you do this, whatever the data."},
	{Code: "policy.step-up", Status: 401, Meaning: "A stronger or fresher login is needed; WWW-Authenticate names it (RFC 9470)."},
	{Code: "policy.unavailable", Status: 503, Meaning: "The rules could not be evaluated. Try again."},
	{Code: "purpose.not-agreed", Status: 403, Meaning: "Your client has no agreement for the purpose of use that the token names."},
	{Code: "request.base", Status: 404, Meaning: "The path is not below the FHIR base."},
	{Code: "request.encoding", Status: 415, Meaning: "The body has a Content-Encoding; send it plain."},
	{Code: "request.host", Status: 421, Meaning: "The gateway does not answer for the host that the request names."},
	{Code: "request.json", Status: 400, Meaning: "The body is not the JSON object that belongs here."},
	{Code: "request.target", Status: 400, Meaning: "The request line holds more than a path and a query."},
	{Code: "request.too-long", Status: 413, Meaning: "The body is longer than the gateway takes."},
	{Code: "request.upgrade", Status: 400, Meaning: "The connection cannot be upgraded to another protocol."},
	{Code: "resource.contained", Status: 422, Meaning: "The body contains a Patient, or a resource about another patient than its container is about."},
	{Code: "resource.element", Status: 400, Meaning: "A member of the body differs from a FHIR element in case alone, or is a list where FHIR has one value or the other way round."},
	{Code: "resource.id", Status: 400, Meaning: "The body's id is not the id in the URL."},
	{Code: "resource.invalid", Status: 400, Meaning: "The body is not a resource that can be read."},
	{Code: "resource.labels", Status: 403, Meaning: "The patch takes security labels off that you may not take off."},
	{Code: "resource.not-found", Status: 404, Meaning: "There is no such resource, or you may not see it: the two are the same."},
	{Code: "resource.partial", Status: 422, Meaning: "The body is marked as a part or a changed form of a record; written back it would erase what it lacks."},
	{Code: "resource.reference", Status: 422, Meaning: "A reference in the body is of a form that cannot be read, or its type contradicts it."},
	{Code: "resource.refused", Status: 422, Meaning: "The FHIR server behind the gateway does not accept the resource."},
	{Code: "resource.syntax", Status: 400, Meaning: "The body is not strict JSON."},
	{Code: "resource.type", Status: 400, Meaning: "The body's resourceType is not the type in the URL."},
	{Code: "scope.chain", Status: 403, Meaning: "A chain or _has looks at resources that your scopes do not open whole."},
	{Code: "scope.instance", Status: 403, Meaning: "Your scopes do not let you write a resource of this content."},
	{Code: "scope.missing", Status: 403, Meaning: "No scope of your token grants this interaction on this type; WWW-Authenticate names one that would."},
	{Code: "scope.operation", Status: 403, Meaning: "No scope of your token stands for this operation."},
	{Code: "scope.patient", Status: 403, Meaning: "Your scopes are for a patient, and the token names none."},
	{Code: "scope.system-search", Status: 403, Meaning: "Your scopes are bound to a patient or to criteria of one type; search one type at a time."},
	{Code: "search.count", Status: 403, Meaning: "A count would tell of resources that you may not see, or the FHIR server does not show that it counts yours alone. Leave out _total and _summary=count."},
	{Code: "search.too-broad", Status: 422, Meaning: "Too little of what matches is visible to you. Narrow the search."},
	{Code: "search.unsupported", Status: 400, Meaning: "The FHIR server behind the gateway does not support this search."},
	{Code: "token.audience", Status: 401, Meaning: "The token is meant for another service."},
	{Code: "token.binding", Status: 401, Meaning: "The token is bound to a key that was not proved, or is not bound where it must be."},
	{Code: "token.expired", Status: 401, Meaning: "The token has expired."},
	{Code: "token.invalid", Status: 401, Meaning: "The token is not one that this gateway takes."},
	{Code: "token.misplaced", Status: 400, Meaning: "A token stands in the query or a cookie, or there is more than one."},
	{Code: "token.missing", Status: 401, Meaning: "There is no token, or its scheme is not taken."},
	{Code: "token.nonce", Status: 401, Meaning: "The DPoP proof needs the nonce of the header DPoP-Nonce."},
	{Code: "token.proof", Status: 401, Meaning: "The DPoP proof of a token does not hold."},
	{Code: "token.revoked", Status: 401, Meaning: "The token was ended before its time."},
	{Code: "transaction.denied", Status: 403, Meaning: "An entry of the transaction may not be carried out, so none was."},
	{Code: "transaction.twice", Status: 400, Meaning: "Two entries of the transaction are about the same resource."},
	{Code: "upstream.busy", Status: 503, Meaning: "The FHIR server behind the gateway is busy. Retry-After says how long to wait."},
	{Code: "upstream.invalid", Status: 502, Meaning: "The FHIR server behind the gateway gave an answer that cannot be judged."},
	{Code: "upstream.timeout", Status: 504, Meaning: "The FHIR server behind the gateway took too long."},
	{Code: "upstream.unknown", Status: 500, Meaning: "A change was sent and no readable answer came: it may have been made. Read before you repeat it."},
	{Code: "upstream.unreachable", Status: 502, Meaning: "The FHIR server behind the gateway cannot be reached."},
	{Code: "view.failed", Status: 200, Meaning: "An entry of a Bundle could not be brought into the form that you may see, and is left out."},
	{Code: "view.parameter-hidden", Status: 400, Meaning: "A parameter, sort key or chain touches an element that your view hides or changes."},
	{Code: "view.read-only", Status: 403, Meaning: "What you see is a changed form of the record, and cannot be written back."},
	{Code: "write.conflict", Status: 409, Meaning: "The change conflicts with the record as it is."},
	{Code: "write.unjudged", Status: 500, Meaning: "The change was made, and whether its result may be shown could not be decided."},
	{Code: "write.unpinned", Status: 409, Meaning: "The FHIR server behind the gateway keeps no versions, so a change cannot be made safely."},
	{Code: "write.version", Status: 412, Meaning: "The resource is not in the version that If-Match names."},
}
