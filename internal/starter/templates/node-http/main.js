import { server } from "./server.js";

server.listen(process.env.PORT, "127.0.0.1");
