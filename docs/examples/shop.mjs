// Hand a secret over to a customer: node shop.mjs order-1001 KEY-7733-1892

const [name, secret] = process.argv.slice(2);
const answer = await fetch("http://127.0.0.1:8600/api/v1/flows", {
  method: "POST",
  headers: { Authorization: `Bearer ${process.env.TOKEN}`, "Content-Type": "application/json" },
  body: JSON.stringify({ name, secret, expires_in: 7 * 24 * 3600 }),
});
const flow = await answer.json();
if (!answer.ok) throw new Error(flow.error);
console.log(flow.uid, flow.status);
