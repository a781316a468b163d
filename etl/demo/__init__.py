"""The demo county (示例县): real names and outline, everything else generated and marked so."""
