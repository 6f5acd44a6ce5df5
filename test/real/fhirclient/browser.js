// A person opens a SMART app in Chromium: the page of app.html, made with
// fhirclient, sends the browser to Keycloak, the person logs in there, and the
// page shows what it reads through the gateway.
//
//   node browser.js FHIR-BASE ORIGIN USER PASSWORD SCREENSHOT      prints one line of JSON
const fs = require("fs")
const http = require("http")
const path = require("path")
const modules = path.join(process.env.FHIRCLIENT, "node_modules")
const { chromium } = require(path.join(modules, "playwright-core"))

const [base, origin, user, password, screenshot] = process.argv.slice(2)
const files = { "/": path.join(__dirname, "app.html"), "/fhir-client.js": path.join(modules, "fhirclient", "build", "fhir-client.js") }

const app = http.createServer((req, res) => {
	const file = files[new URL(req.url, origin).pathname]
	if (!file) return res.writeHead(404).end()
	res.writeHead(200, { "Content-Type": file.endsWith(".js") ? "text/javascript" : "text/html" })
	fs.createReadStream(file).pipe(res)
})

async function main() {
	await new Promise(ready => app.listen(new URL(origin).port, "127.0.0.1", ready))
	const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"], timeout: 120000 })
	try {
		const page = await browser.newPage()
		page.setDefaultTimeout(60000)
		const said = []
		page.on("console", m => said.push(m.text()))
		page.on("pageerror", e => said.push(String(e)))
		let calls = 0
		page.on("request", r => { if (r.url().startsWith(base + "/")) calls++ })
		await page.goto(origin + "/?iss=" + encodeURIComponent(base))
		await page.fill("#username", user)
		const login = new URL(page.url())
		await page.fill("#password", password)
		await page.click("#kc-login")
		const state = page.locator("#state", { hasText: /done|failed/ })
		await state.waitFor()
		await page.screenshot({ path: screenshot })
		const text = id => page.textContent("#" + id)
		console.log(JSON.stringify({ state: await text("state"), patient: await text("patient"), observations: await text("observations"), other: await text("other"),
			login: login.origin, pkce: login.searchParams.get("code_challenge_method"), landed: new URL(page.url()).origin, calls, said }))
	} finally {
		await browser.close()
		app.close()
		app.closeAllConnections()
	}
}

main().catch(error => {
	console.error(error)
	process.exit(1)
})
