// A SMART app's own library, fhirclient, reads a patient through the gateway: a
// standalone launch with PKCE, from the gateway's discovery to the FHIR calls.
// The browser in between is played by fetch with a jar of cookies.
//
//   node launch.js FHIR-BASE USER PASSWORD      prints one line of JSON
const http = require("http")
const path = require("path")
const smart = require(path.join(process.env.FHIRCLIENT, "node_modules", "fhirclient"))

const [base, user, password] = process.argv.slice(2)
setTimeout(() => fail(new Error("timed out")), 60000).unref()

const session = new Map()
const storage = {
	get: async key => session.get(key),
	set: async (key, value) => (session.set(key, value), value),
	unset: async key => session.delete(key),
}

const app = http.createServer((req, res) => {
	const api = smart(req, res, storage)
	const done = req.url.startsWith("/launch") ? launch(api) : use(api, res)
	done.catch(fail)
})

function launch(api) {
	return api.authorize({ iss: base, clientId: "patient-app", redirectUri: "/app", pkceMode: "required",
		scope: "openid fhirUser launch/patient patient/*.rs" })
}

async function use(api, res) {
	const client = await api.ready()
	const me = await client.user.read()
	const observations = await client.request("Observation?_count=2", { pageLimit: 0, flat: true })
	const refused = await client.request("Patient/p2").then(() => 200, e => e.status || e.statusCode)
	res.setHeader("Content-Type", "application/json")
	res.end(JSON.stringify({ patient: me.id, family: me.name[0].family, observations: observations.length, other: refused }))
}

// visit follows redirects as a browser does and fills in the login form.
async function visit(url) {
	const cookies = new Map()
	let form
	for (let hops = 0; hops < 10; hops++) {
		const answer = await fetch(url, { redirect: "manual", method: form ? "POST" : "GET", body: form,
			headers: { cookie: [...cookies].map(([k, v]) => k + "=" + v).join("; ") } })
		for (const c of answer.headers.getSetCookie()) {
			const [name, value] = c.split(";")[0].split(/=(.*)/)
			cookies.set(name, value)
		}
		const text = await answer.text()
		form = undefined
		if (answer.headers.has("location")) {
			url = new URL(answer.headers.get("location"), url).href
			continue
		}
		const login = /action="([^"]+)"/.exec(text)
		if (!login) return text
		url = login[1].replaceAll("&amp;", "&")
		form = new URLSearchParams({ username: user, password })
	}
	throw new Error("too many redirects")
}

function fail(error) {
	console.error(error)
	process.exit(1)
}

app.listen(0, "127.0.0.1", () =>
	visit("http://127.0.0.1:" + app.address().port + "/launch").then(text => {
		console.log(text)
		app.close()
		app.closeAllConnections()
	}).catch(fail))
