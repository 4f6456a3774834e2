"""In which precision wide matrix products may be taken; every result is scored in float32."""

FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)
