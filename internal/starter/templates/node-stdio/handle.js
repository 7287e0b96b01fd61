// Greets a visitor: answers an event with another, which dalamb publishes.
export async function handle(event) {
  const { name } = event.data;
  if (!name) throw new TypeError("data has no name");
  console.error(`greeting ${name}`); // stderr is the log
  return {
    specversion: "1.0",
    type: "visitor.greeted",
    source: "/{{name}}",
    data: { greeting: `Hello, ${name}!` },
  };
}
