import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/streams.css";
import { render } from "preact";
import { follow } from "./route";
import { begin } from "./state";
import { applyTheme } from "./theme";
import { Shell } from "./view/shell";

applyTheme();
follow();
void begin();
const root = document.getElementById("page");
if (root) render(<Shell />, root);
