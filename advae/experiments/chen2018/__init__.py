"""Chen and Sirkeci-Mergen 2018: what they print, and the section of the report that compares it with ours."""
