import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["**/node_modules/", "**/dist/", "**/dist-lambda/", ".local/"] },
  ...tseslint.configs.recommended,
  {
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-restricted-properties": [
        "error",
        {
          object: "fs",
          property: "rm",
          message: "follows a link swapped in mid-walk; see cleanup-job/src/deletion",
        },
        {
          object: "fs",
          property: "rmSync",
          message: "follows a link swapped in mid-walk; see cleanup-job/src/deletion",
        },
      ],
    },
  },
  { files: ["local/**", "test/**"], rules: { "no-restricted-properties": "off" } },
);
